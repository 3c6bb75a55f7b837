//! The harness: packets, network namespaces, real services, the agent's process, and the judges in
//! kernel and host.
//!
//! Everything here is real: real sshd, real TLS, real kernel. A scene leaves nothing behind, however
//! its process ends, because its namespaces have no name and hold everything made in them.
//!
//! A group imports from those before it in this list, never from those behind it:
//! [`machine`], [`net`], [`programs`], [`scene`], [`agent`], [`judge`].

pub mod agent;
pub mod judge;
pub mod machine;
pub mod net;
pub mod programs;
pub mod scene;
#[cfg(test)]
mod tests;

pub use agent::Agent;
pub use agent::policy::Policy;
pub use machine::namespace::Namespace;
pub use net::packet::Packet;
pub use net::socket::Outcome;
pub use scene::topology::Topology;
