//! The decision that manoward makes about a packet.
//!
//! This crate is compiled twice: into the eBPF programs, where it reads frames and kernel maps,
//! and into the host side (agent, tests, `manoward explain`), where it reads byte slices and the
//! same image in memory. Whatever the kernel decides, the host can therefore repeat and explain.
//!
//! The packet's way, in reading order:
//!
//! 1. [`ethernet`]: EtherType and VLAN tags.
//! 2. [`ipv4`], [`ipv6`]: destination first, the rest only for a protected address.
//! 3. [`transport`], [`icmp`]: ports, TCP flags, what a message is for.
//! 4. [`inbound`], [`outbound`]: the decision, which asks the [`image`] for services and endpoints,
//!    and the table of [`flow`]s for connections that the host opened.
//! 5. [`reason`]: the verdict with its reason.
//!
//! The crate is `no_std` and forbids `unsafe`. Loops are bounded by constants and arithmetic on
//! packet offsets stays small, because the kernel's verifier follows every path.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod address;
pub mod counters;
pub mod endpoint;
pub mod enrolment;
pub mod ethernet;
pub mod flow;
pub mod icmp;
pub mod image;
pub mod inbound;
pub mod ipv4;
pub mod ipv6;
pub mod judge;
pub mod layout;
pub mod lease;
pub mod outbound;
pub mod packet;
pub mod reason;
pub mod service;
pub mod shortcut;
pub mod table;
#[cfg(test)]
mod tests;
pub mod transport;
