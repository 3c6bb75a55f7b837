//! Why a policy cannot be compiled.

use thiserror::Error;
use verdict::image::endpoint::INTERFACES_PER_SET;

use super::lines::MAX_LINES;

/// Why a policy cannot be compiled for this host.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CompileError {
    /// `protect` yields no address.
    #[error(
        "the policy protects no address: the host's interfaces have none. Give an interface an address, or list addresses under `protect`"
    )]
    NothingProtected,
    /// An endpoint is bound to an interface that does not exist.
    #[error(
        "endpoint `{endpoint}` is bound to interface `{interface}`, which this host does not have"
    )]
    NoSuchInterface {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the interface.
        interface: String,
    },
    /// An endpoint is bound to a bond or bridge with too many ports.
    #[error(
        "interface `{interface}` has {count} ports; a binding can name an interface of at most {INTERFACES_PER_SET}"
    )]
    TooManyArrivals {
        /// Name of the interface.
        interface: String,
        /// Number of its ports.
        count: usize,
    },
    /// More endpoints or rules than there are counters.
    #[error(
        "the policy has more endpoints, or more services at reference points, than there are counters"
    )]
    TooManyNames,
    /// More prefix lengths than a lookup can probe.
    #[error(
        "the policy uses too many different prefix lengths: use fewer, or list shorter prefixes as several longer ones"
    )]
    TooManyLengths,
    /// More addresses than the tables hold.
    #[error(
        "the policy's prefixes take {entries} entries, more than the kernel's tables hold. List fewer addresses"
    )]
    TooManyAddresses {
        /// Entries of all tables, after the expansion of prefixes.
        entries: usize,
    },
    /// More lines than an image can have.
    #[error(
        "the policy needs {lines} lines of 64 bytes; an image has {MAX_LINES} at most. List fewer addresses"
    )]
    TooLarge {
        /// Lines that the policy needs.
        lines: usize,
    },
}
