//! Enrolment: endpoints prove their identity with certificates.
//!
//! A [`Server`] listens for QUIC. An endpoint proves by Retry that it receives at its address, and
//! by the TLS 1.3 handshake that it holds the key of a certificate that is valid, not revoked, and
//! issued by a trusted authority. What it has proven is a [`Claim`]; a [`Registrar`] grants or
//! refuses it. The proof holds as long as the session that follows: the session ends when the
//! endpoint is silent, when the certificate expires or is revoked, or when [`Server::close`] is
//! called.
//!
//! What is verified stands in docs/enrolment.md, line by line, and in [`chain`] and [`lists`].
//!
//! Changed files are read again within 2 seconds, and then all sessions are verified again. They
//! are also verified every minute.

mod accept;
mod chain;
mod client;
mod config;
mod error;
mod facts;
mod gate;
mod identity;
mod lists;
mod log;
pub mod pki;
mod refusal;
mod registrar;
mod reload;
mod server;
mod session;
mod sessions;
mod shared;
pub(crate) mod sockets;
mod token;
mod trust;
pub mod wire;
pub(crate) mod witness;

pub use chain::Fault;
pub use config::{Config, HANDSHAKE};
pub use error::ServerError;
pub use facts::{Certificate, Facts};
pub use identity::Identity;
pub use jiff::Timestamp;
pub use lists::RevocationList;
pub use refusal::{Reason, Refusal, alert};
pub use registrar::{Claim, End, Grant, Registrar, SessionId};
pub use server::Server;
pub use sessions::Session;
pub use shared::Counts;
pub use token::MarkKey;
pub use trust::{Expiring, Files, StaleCrl};
