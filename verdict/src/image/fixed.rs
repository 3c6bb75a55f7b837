//! The fixed part of an image: which line holds what.

use super::{
    line::{PER_LINE_32, PER_LINE_64},
    segments,
    service::ICMP_WORDS,
};

/// Line of the header.
pub const HEADER: u32 = 0;
/// Line of the prefix lengths of IPv4; IPv6 has the next.
pub const LENGTHS: u32 = 1;
/// First line of the direct entries of protected IPv4 addresses: one word each.
pub const DIRECT_IPV4: u32 = LENGTHS + 2;
/// First line of the direct entries of protected IPv6 addresses: two words each.
pub const DIRECT_IPV6: u32 = DIRECT_IPV4 + DIRECT_ENTRIES / PER_LINE_64;
/// Line of the times that states of flows last.
pub const TIMEOUTS: u32 = DIRECT_IPV6 + 2 * DIRECT_ENTRIES / PER_LINE_64;
/// Line of the MAC addresses of the host, a word each, first byte of the wire highest; 0 for none.
pub const MACS: u32 = TIMEOUTS + 1;
/// First line of the services: 32 bits for each [`ServiceKey`](super::service::ServiceKey).
pub const SERVICES: u32 = MACS + 1;
/// Words of services: ports of three transports, IP protocols, types and codes of ICMP and ICMPv6, and
/// one for what has none of them.
pub const SERVICE_WORDS: u32 = 3 * 65_536 + 256 + 2 * ICMP_WORDS + 1;
/// Lines of services.
pub const SERVICE_LINES: u32 = SERVICE_WORDS.div_ceil(PER_LINE_32);
/// First line of the VLANs that carry the host's traffic ([`segments`]).
pub const SEGMENTS: u32 = SERVICES + SERVICE_LINES;
/// First line behind the fixed part.
pub const FIXED_LINES: u32 = SEGMENTS + segments::LINES;

/// First word of the line of MAC addresses where there are more than fit: any may be the host's.
pub const ANY_MAC: u64 = u64::MAX;

/// Most prefix lengths of one family that a lookup probes.
pub const MAX_LENGTHS: u32 = 16;

/// Direct entries of one family. One that is empty, as most are, tells that an address is not
/// protected; one that is not, that one of those it stands for is.
pub const DIRECT_ENTRIES: u32 = 512;
