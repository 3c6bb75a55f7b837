//! Limits of a policy.
//!
//! The sizes of the kernel's tables are fixed. A policy that does not fit is refused when it is
//! read, with a position, and not when it is published.

use std::ops::RangeInclusive;

/// Named endpoints.
pub const ENDPOINTS: usize = 65_535;
/// Different roles, those of endpoints and those that only a reference point names.
pub const ROLES: usize = 63;
/// Reference points.
pub const REFERENCE_POINTS: usize = 255;
/// Services of all reference points, each counted once for every reference point.
pub const ADMISSIONS: usize = 511;
/// Addresses and prefixes of all endpoints.
pub const ADDRESSES: usize = 2_000_000;
/// Entries of `protect`.
pub const PROTECT: usize = 4_096;
/// Entries of `interfaces`.
pub const INTERFACES: usize = 64;
/// Services that the file defines.
pub const SERVICES: usize = 4_096;
/// Bytes of a name.
pub const NAME_BYTES: usize = 63;
/// Bytes of an interface's alternative name (`ALTIFNAMSIZ` less its terminator).
pub const INTERFACE_NAME_BYTES: usize = 127;
/// Seconds that a flow may last without a packet, 1 second to 30 days.
pub const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=30 * 24 * 60 * 60;
/// Mistakes that a [`PolicyError`](super::PolicyError) shows; further ones are counted.
pub const MISTAKES_SHOWN: usize = 100;
