//! Why a policy cannot be compiled.

use thiserror::Error;
use verdict::image::{endpoint::INTERFACES_PER_SET, place::INTERFACES};

use super::{lines::MAX_LINES, roles::Roles};

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
    /// A reference point is limited to an interface that does not exist.
    #[error(
        "a reference point applies `at` interface `{interface}`, which this host does not have. Correct it, or create the interface"
    )]
    NoSuchPlace {
        /// Name of the interface.
        interface: String,
    },
    /// A reference point is limited to too many interfaces.
    #[error(
        "a reference point applies `at` interfaces with {count} ports, and {INTERFACES} are possible. Name fewer, or addresses"
    )]
    TooManyInterfaces {
        /// Number of their ports.
        count: usize,
    },
    /// More sets of roles than there are numbers.
    #[error(
        "the policy's endpoints have more than {} different sets of roles. Give more of them the same",
        Roles::MOST
    )]
    TooManyRoles,
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
