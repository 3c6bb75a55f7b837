//! What the bytes of a frame mean.
//!
//! [`ethernet`] header and VLAN tags, then the network header ([`ipv4`], [`ipv6`], behind one trait
//! in [`network`]), then [`transport`] or [`icmp`]. Nothing here knows a policy.

pub mod address;
pub mod dhcp;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod network;
pub mod origin;
pub mod packet;
pub mod quic;
pub mod transport;
