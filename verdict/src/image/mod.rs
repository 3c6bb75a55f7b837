//! An image: a policy compiled into lines of 64 bytes, one CPU cache line each.
//!
//! Fixed part, by line:
//!
//! | line | holds |
//! | --- | --- |
//! | 0 | header: the words below |
//! | 1, 2 | prefix lengths in use, longest first, one byte each: IPv4, IPv6 |
//! | 3.. | direct entries of protected addresses ([`protected::Direct`]): IPv4, then IPv6 |
//! | then | how long each state of a flow lasts, 16 x 32 bits ([ticks](crate::state::clock::ticks)) |
//! | then | MAC addresses of the host, a word each |
//! | then | service of each TCP, UDP, SCTP port, IP protocol, ICMP type and code: 32 bits ([`service`]) |
//! | then | VLANs that carry the host's traffic, a bit each ([`segments`]) |
//!
//! Behind it lie, where the header says: rules of services (four lines each), and once more as much for
//! each further choice that a place leaves ([`place`]), the places, endpoint records
//! (four in a line), sets of interfaces (one line each), and the regions of buckets, large ones with
//! their summaries ([`region`]).
//!
//! All words are in host byte order; fields within a word count from bit 0.

pub mod bucket;
pub mod endpoint;
pub mod fixed;
pub mod header;
pub mod line;
pub mod lookup;
pub mod place;
pub mod protected;
pub mod region;
pub mod segments;
pub mod service;
