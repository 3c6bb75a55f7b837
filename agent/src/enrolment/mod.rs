//! Endpoints prove by certificate who they are.
//!
//! A [`Server`] listens for QUIC. An endpoint proves by Retry that it receives at its address, and
//! by the TLS 1.3 handshake that it holds the key of a certificate which an authority vouches for,
//! which is valid, and which is not revoked. What was proven is a [`Claim`]; a [`Registrar`]
//! decides about it. The session that follows is the proof's life: it ends with silence, with the
//! certificate's validity, with its revocation, or when [`Server::close`] is called.
//!
//! # What is verified
//!
//! - Chains end at an authority of the CA bundle; intermediate certificates come from the peer.
//! - Every certificate of the chain is within its validity. A session ends with that of its leaf at
//!   once, with that of another within a minute.
//! - An extended key usage, where the certificate has one, includes clientAuth.
//! - No certificate of the chain is in its authority's revocation list, where there is one. A list
//!   that has run out refuses all certificates of its authority unless [`StaleCrl::Accept`] is set.
//!
//! Changed files are read again within 2 seconds and all sessions verified again, as they are every
//! minute.

mod accept;
mod config;
mod error;
mod facts;
mod gate;
mod identity;
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
mod trust;
pub mod wire;
pub(crate) mod witness;

pub use config::{Config, HANDSHAKE};
pub use error::ServerError;
pub use facts::{Certificate, Facts};
pub use identity::Identity;
pub use refusal::{Reason, Refusal, alert};
pub use registrar::{Claim, End, Grant, Registrar, SessionId};
pub use server::Server;
pub use sessions::Session;
pub use shared::Counts;
pub use trust::{Expiring, Files, StaleCrl};
