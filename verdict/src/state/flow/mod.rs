//! Flows: connections that the host, or a protected guest, opened.
//!
//! Only packets on their way out open a flow, and only its own packets may come in. The table is
//! shared by the programs of both directions and outlives policies and agents; what the policy
//! permits is asked again for every packet.

pub mod displace;
pub mod entry;
pub mod follow;
pub mod half;
pub mod key;
mod state;
pub mod table;
pub mod tag;
#[cfg(test)]
mod tests;

pub use entry::{Flow, New, Set, Slot};
pub use half::Half;
pub use key::Key;
pub use state::State;
pub use table::Flows;
pub use tag::Tag;
