//! What follows from a packet, the policy and what is remembered.
//!
//! The policy is stated once for each direction, in [`inbound`] and [`outbound`], over two
//! [paths](path): the [`fast`] one for the common packets, and the [`full`] one for every packet.
//! What only the full path meets lies beside them: [`fragment`], [`quotation`], [`discovery`],
//! [`enrolment`], [`dhcp`], [`unasked`]. The [`door`] is for what arrives at a socket, and [`exempt`] for what
//! passes whatever the policy says. A [`shadow`] compares what two policies decide.

pub mod conversation;
pub mod dhcp;
pub mod discovery;
pub mod door;
pub mod enrolment;
pub mod exempt;
pub mod fast;
pub mod fragment;
pub mod full;
pub mod inbound;
pub mod outbound;
pub mod path;
mod permission;
pub mod quotation;
pub mod shadow;
pub mod unasked;

use crate::{
    frame::{
        address::{Ipv4, Ipv6},
        ethernet::{EtherType, Frame},
        network::Network,
        packet::Packet,
    },
    image::{
        header::{Header, Modes},
        line::{Missing, Tables},
        lookup::{Listed, Lookup},
        segments,
    },
    reason::{Outcome, Reason, Verdict},
    state::{flow::Flows, lease::Leased},
};

/// Words that strangers' packets may change ([`Flows::limit`]): those about sessions of enrolment, then
/// limits of enrolments, then notes about fragments, then notes about peers.
pub const WORDS: u32 = enrolment::LIMITS + fragment::NOTES + unasked::NOTES;

/// How IP packets of one direction are read and decided about, on one path.
trait Judge {
    /// Why there is no outcome.
    type Stop;

    /// Decides about the IP packet in `frame`.
    ///
    /// # Errors
    ///
    /// On the full path a reason that no rule governs and no endpoint is known for; on the fast path
    /// that it has no outcome.
    fn network<A: Ip, P: Packet, T: Lookup, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Self::Stop>;
}

/// Decides about the packet in `frame`, whichever family it is of.
#[inline(always)]
fn judge<J: Judge, P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    frame: &Frame,
) -> Result<Outcome, J::Stop> {
    match frame.ether_type {
        EtherType::IPV4 => J::network::<Ipv4, P, T, F>(packet, tables, flows, frame),
        EtherType::IPV6 => J::network::<Ipv6, P, T, F>(packet, tables, flows, frame),
        _ => Ok(pass(Reason::NotIp, 0)),
    }
}

/// Whether a frame on the interface of `packet`, with this outer VLAN, cannot be for the host.
#[inline(always)]
fn is_foreign<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    segment: Option<u16>,
) -> Result<bool, Missing> {
    let Some(id) = segment else {
        return Ok(false);
    };
    let modes = Header::of(tables)?.flags().modes();
    Ok(modes.has(Modes::SEGMENTS) && !segments::is_own(tables, packet.ifindex(), id)?)
}

/// Whether what is sent to a group is judged at the sockets that receive it, and at interfaces only where
/// that is too late.
#[inline(always)]
fn is_left_to_sockets<F: Flows>(policy: Header<'_>, flows: &F) -> bool {
    policy.flags().modes().has(Modes::EVERY_ADDRESS) && flows.groups_at_sockets()
}

/// A family as decisions use it: its packets are read, its addresses are listed and hold leases.
pub trait Ip: Network + Listed + Leased {}

impl<A: Network + Listed + Leased> Ip for A {}

/// An outcome that no rule governs.
#[inline(always)]
pub const fn pass(reason: Reason, endpoint: u32) -> Outcome {
    Outcome::new(reason, false, 0, endpoint)
}

/// A drop that no rule governs, audited if the policy has `mode`. A broken policy is never audited.
#[inline(always)]
pub fn ungoverned<T: Tables>(tables: &T, mode: Modes, reason: Reason, endpoint: u32) -> Outcome {
    let audit = matches!(reason.verdict(), Verdict::Drop)
        && reason != Reason::NoPolicy
        && Header::of(tables).is_ok_and(|header| header.flags().modes().has(mode));
    Outcome::new(reason, audit, 0, endpoint)
}
