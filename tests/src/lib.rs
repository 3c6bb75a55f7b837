//! The harness: packets, network namespaces, real services, the agent's process, and the judges in
//! kernel and host.
//!
//! Everything here is real: real sshd, real TLS, real kernel. A scene leaves nothing behind, however
//! its process ends, because its namespaces have no name and hold everything made in them.

pub mod agent;
pub mod amqp;
pub mod capture;
pub mod certificate;
pub mod dhcp;
pub mod differential;
pub mod disguise;
pub mod dns;
pub mod dnsmasq;
pub mod iperf;
pub mod kernel;
pub mod link;
pub mod log;
pub mod namespace;
pub mod nmap;
pub mod ntp;
pub mod openssh;
pub mod operator;
pub mod oracle;
pub mod packet;
pub mod policy;
pub mod process;
mod realm;
pub mod scratch;
pub mod sctp;
pub mod sight;
pub mod socket;
pub mod station;
pub mod tally;
pub mod tls;
pub mod topology;
pub mod traffic;
pub mod vigil;
pub mod wait;
pub mod wire;

pub use agent::Agent;
pub use namespace::Namespace;
pub use packet::Packet;
pub use policy::Policy;
pub use socket::Outcome;
pub use topology::Topology;
