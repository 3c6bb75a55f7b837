//! Under which rule a connection is permitted at the place where a packet is.
//!
//! What answers may come over another interface than what asked. So of the places that a rule is limited
//! to, only the address counts for packets that do not begin a connection.

use super::Ip;
use crate::{
    frame::packet::Packet,
    image::{
        header::Header,
        line::Missing,
        lookup::Lookup,
        place::{ANY_INTERFACE, NO_INTERFACE},
        service::{Rule, Service},
    },
};

/// The first of the rules from `index` on that applies where `packet` is, which begins a connection with the
/// address `local`.
#[inline(always)]
pub fn here<A: Ip, P: Packet, T: Lookup>(
    packet: &P,
    tables: &T,
    index: u32,
    local: A,
) -> Result<Rule, Missing> {
    let ifindex = if P::SEES_LINK {
        packet.ifindex()
    } else {
        NO_INTERFACE
    };
    tables.choose(index, local.to_words(), ifindex)
}

/// The rule under which `role` may use `service` at the address `local`; number 0 if it may not.
#[inline(always)]
pub fn offered<A: Ip, T: Lookup>(
    tables: &T,
    policy: Header<'_>,
    service: Service,
    role: u8,
    local: A,
) -> Result<Rule, Missing> {
    let first = service.inbound(tables, policy, role)?;
    at(tables, first, service.inbound_index(role), local)
}

/// The rule under which the host may use `service` of `role` from the address `local`; number 0 if it may
/// not.
#[inline(always)]
pub fn used<A: Ip, T: Lookup>(
    tables: &T,
    policy: Header<'_>,
    service: Service,
    role: u8,
    local: A,
) -> Result<Rule, Missing> {
    let first = service.outbound(tables, policy, role)?;
    at(tables, first, service.outbound_index(role), local)
}

/// The `first` rule at `index`, or the one after it that applies at `local`.
#[inline(always)]
fn at<A: Ip, T: Lookup>(tables: &T, first: Rule, index: u32, local: A) -> Result<Rule, Missing> {
    if !first.is_placed() {
        return Ok(first);
    }
    let chosen = tables.choose(index, local.to_words(), ANY_INTERFACE)?;
    Ok(if chosen.is_elsewhere() {
        Rule::NONE
    } else {
        chosen
    })
}
