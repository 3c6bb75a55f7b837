//! A small X.509 certificate authority for labs and tests.
//!
//! It is not for production: its keys lie unencrypted in a directory, it issues without approval,
//! and it does not publish what it revokes. What it issues has the form that production uses,
//! though: SPIFFE X.509-SVIDs for endpoints, TLS server certificates for hosts, and revocation
//! lists (RFC 5280).
//!
//! This crate makes, reads and changes the files, and returns what it did as data. `manoward pki`
//! is a thin layer in the agent's command line, where tables, colours and exit codes are those of
//! all other commands: a layer here would need them from the agent, which uses this crate.
//!
//! The directory of an [`Authority`] holds
//!
//! | file | what it is |
//! | --- | --- |
//! | `ca.pem`, `ca.key` | the root: what others trust, and its key |
//! | `intermediate.pem`, `intermediate.key` | the issuer, if that is not the root |
//! | `crl.pem` | revocation lists: the issuer's, and an empty one of the root above an intermediate |
//! | `index.json` | what was issued and revoked, and the number of the list |
//! | `issued/SERIAL.pem` | every certificate that was issued |

mod authority;
mod create;
mod error;
mod files;
mod index;
mod inspect;
mod issue;
mod key;
mod names;
mod revoke;
mod serial;

pub use authority::{Authority, Inventory};
pub use create::Options;
pub use error::PkiError;
pub use index::Reason;
pub use inspect::{Crl, Entry, Revocation, Revoked, certificates, crls};
pub use issue::{Issued, Purpose, Request, Validity};
pub use key::{Key, KeyAlgorithm};
pub use names::{Name, NameError};
pub use revoke::{Revoking, Which};
pub use serial::Serial;

#[cfg(test)]
mod tests;
