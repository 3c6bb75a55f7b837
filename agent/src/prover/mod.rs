//! Where strangers' bytes are looked at: in a process of its own.
//!
//! QUIC, TLS and X.509 are parsed by a process that can do nothing else ([`sandbox`]). It tells the agent who has
//! proven what, from where and until when ([`message`]); the agent checks each field, reads from the kernel's
//! own table where the datagrams came from, and alone writes leases ([`agent`]).

pub mod agent;
mod claim;
pub mod message;
pub mod process;
mod sandbox;
