//! What decides about a frame: the programs in the kernel and the same decision on the host, which
//! must agree, and the network stack as an oracle for both.

pub mod differential;
mod facts;
mod judges;
mod limits;
pub mod oracle;
mod pool;
mod ruling;

pub use facts::{ARRIVAL, BROADCAST, ELSEWHERE, LENGTHS, facts, read};
pub use judges::Judges;
pub use limits::Limits;
pub use pool::Pooled;
pub use ruling::Ruling;
