//! Those who say what has to become of a frame: the programs in the kernel and the decision on the
//! host, which have to agree, and the network stack, which neither may contradict.

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
