//! Why interfaces cannot be used.

use thiserror::Error;

/// Why interfaces cannot be used.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// The kernel did not answer.
    #[error("cannot ask the kernel for {what}: {reason}")]
    Netlink {
        /// What was asked for.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// No such interface.
    #[error(
        "this host has no interface `{name}` (it has {known}). Correct `interfaces` in the policy"
    )]
    Unknown {
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// Several of them.
    #[error("{}", several(.0))]
    Several(Vec<Self>),
    /// A bridge without ports.
    #[error(
        "bridge `{name}` has no ports, so no packet can arrive there. Add a port to it, or name another interface"
    )]
    NoPorts {
        /// The name.
        name: String,
    },
}

/// All that is wrong with several interfaces. What the host has is told once.
fn several(errors: &[InterfaceError]) -> String {
    let mut unknown = Vec::new();
    let mut has = None;
    let mut sentences = Vec::new();
    for error in errors {
        match error {
            InterfaceError::Unknown { name, known } => {
                unknown.push(format!("`{name}`"));
                has = Some(known);
            }
            other => sentences.push(other.to_string()),
        }
    }
    if let Some(has) = has {
        let names = unknown.join(", ");
        sentences.push(format!(
            "this host has no interfaces {names} (it has {has}). Correct `interfaces` in the policy"
        ));
    }
    sentences.join("; ")
}
