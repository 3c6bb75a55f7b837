//! The decision that manoward makes about a packet.
//!
//! This crate is compiled twice: into the eBPF programs, where it reads frames and kernel maps,
//! and into the host side (agent, tests, `manoward explain`), where it reads byte slices and the
//! same image in memory. Whatever the kernel decides, the host can therefore repeat and explain.
//!
//! Four layers, each of which uses only those above it in this list:
//!
//! 1. [`frame`]: what the bytes of a frame mean.
//! 2. [`image`]: what the policy says, compiled into tables.
//! 3. [`state`]: what is remembered: flows, leases, limits.
//! 4. [`decision`]: what follows, stated once for each direction.
//!
//! A packet's way: [`decision::fast`] reads a plain packet and decides; where it cannot,
//! [`decision::full`] reads any packet and decides it to the end. Both take the policy from
//! [`decision::inbound`] and [`decision::outbound`]. What comes out is an [`Outcome`]: a verdict with
//! its [`reason`], and what it is counted under ([`counters`]).
//!
//! The crate is `no_std` and forbids `unsafe`. Loops are bounded by constants and arithmetic on
//! packet offsets stays small, because the kernel's verifier follows every path.
//!
//! [`Outcome`]: reason::Outcome

#![cfg_attr(
    test,
    allow(
        clippy::decimal_bitwise_operands,
        clippy::many_single_char_names,
        clippy::match_same_arms,
        reason = "tests write ports as people do, MAC addresses byte by byte, and a case a line"
    )
)]
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "a call costs a packet several nanoseconds, and the verifier what it knew"
)]

#[cfg(test)]
extern crate std;

pub mod counters;
pub mod decision;
pub mod frame;
mod hash;
#[cfg(any(test, feature = "host"))]
pub mod host;
pub mod image;
pub mod layout;
pub mod reason;
pub mod state;
#[cfg(test)]
mod tests;
