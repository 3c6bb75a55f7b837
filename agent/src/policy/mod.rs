//! A host's policy: who may use which management service, and to whom the host may connect.
//!
//! A policy passes through three types, so that each stage can rely on the one before:
//! [`raw`] is what a person wrote, with the position of every scalar; [`model`] is what it means,
//! with every name resolved and every number in range; the third is the compiled image that
//! the kernel reads. [`read`] goes from text to the second and reports every mistake of the
//! file at once.

pub mod catalogue;
pub mod compose;
pub mod diff;
mod excerpt;
mod fields;
pub mod icmp;
pub mod limits;
pub mod lint;
pub mod mistake;
pub mod model;
pub mod patch;
pub mod positions;
pub mod protocol;
pub mod raw;
mod reading;
mod remedies;
mod renumber;
mod schema;
mod suggest;
mod syntax;
pub mod timeouts;
mod validate;
mod yaml;

#[cfg(test)]
mod tests;

pub use catalogue::{CatalogueEntry, catalogue};
pub use diff::{Access, Change, access, diff};
pub use lint::{HostFacts, Lint, lint};
pub use mistake::{Mistake, PolicyError};
pub use model::{
    ANYONE, Authenticate, Binding, BreakGlass, Direction, ENROLMENT, Encryption, Endpoint, Mode,
    Outbound, Place, Policy, Protect, ReferencePoint, Roles, Service, ServiceMatch, Sessions,
    Transport, Vlan,
};
pub use positions::{At, Object, Positions};
pub use raw::json_schema;
pub use renumber::renumbered;
pub use timeouts::FlowTimeouts;
pub use validate::{parse_mac, ports_of};

use mistake::Mistakes;

/// The `apiVersion` that this version reads.
pub const API_VERSION: &str = "manoward/v1";

/// A valid policy, and where its parts are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validated {
    /// The policy.
    pub policy: Policy,
    /// Where its parts are written.
    pub positions: Positions,
    /// Remarks that are not made.
    pub accepted: Vec<lint::Accepted>,
    /// Where its serial is written.
    pub serial_at: At,
    /// Where each endpoint has its list of addresses.
    pub addresses_at: patch::Lists,
}

/// Reads a policy from YAML; `file` names it in mistakes.
///
/// # Errors
///
/// [`PolicyError`] with every mistake of the file; text that is not YAML is one mistake.
pub fn read(text: &str, file: &str) -> Result<Validated, PolicyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut mistakes = Mistakes::default();
    let raw = match yaml::parse(text, &mut mistakes) {
        Ok(root) => reading::policy(root, &mut mistakes),
        Err(broken) => {
            mistakes = Mistakes::default();
            mistakes.add(broken.at, || (broken.message, broken.remedy));
            None
        }
    };
    let validated = raw.map(|raw| validate::policy(raw, &mut mistakes));
    match validated {
        Some(validated) if mistakes.is_empty() => Ok(validated),
        _ => Err(PolicyError::new(file, text, mistakes)),
    }
}
