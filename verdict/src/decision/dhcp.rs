//! What DHCP servers send to the host, which may have no address yet.
//!
//! A client reads packet sockets, which nothing behind XDP guards, whatever address a packet is for. So
//! wherever it goes, it is judged if a policy says whom the host may ask, and the client that it names is
//! the host: then only such a server may send it. Answers to clients of tenants are theirs.

use core::{hint::black_box, marker::PhantomData};

use super::{conversation::Ends, inbound::Inbound, pass, path::FullPath, ungoverned};
use crate::{
    frame::{
        address::Ipv4,
        dhcp,
        ethernet::{self, EtherType},
        network::Network as _,
        packet::Packet,
        transport::IpProtocol,
    },
    image::{
        fixed::{ANY_MAC, MACS},
        header::{Header, Modes},
        line::{Missing, Tables},
        lookup::{Destination, Lookup, destination},
        service::Service,
    },
    reason::{Outcome, Reason},
    state::flow::Flows,
};

/// The outcome of what is no answer to the host: nothing is decided yet.
pub const UNCONCERNED: Outcome = pass(Reason::Unprotected, 0);

/// Ports of a server and a client, as they lie on the wire.
const PORTS: [u8; 4] = [0, 67, 0, 68];

/// Whether the host has the MAC address `mac`.
#[inline(always)]
fn is_own<T: Tables>(tables: &T, mac: u64) -> Result<bool, Missing> {
    let line = tables.line(MACS.into())?;
    let mut other = line[0] ^ ANY_MAC;
    // One number of all words, so that the kernel's verifier follows one way.
    for word in line {
        other = black_box(other.wrapping_mul(u64::from(word ^ mac != 0)));
    }
    Ok(other == 0)
}

/// Decides about an answer of a DHCP server to the host; [`UNCONCERNED`] if `packet` is none, or is judged
/// as any other to a protected address. The kernel verifies it apart from all else.
#[inline(always)]
pub fn answer<P: Packet, T: Lookup, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    match judge(packet, tables, flows) {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, Modes::AUDIT, reason, 0),
    }
}

#[inline(always)]
fn judge<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Reason> {
    let Ok(frame) = ethernet::parse(packet) else {
        return Ok(UNCONCERNED);
    };
    let frame = &frame.opaque();
    let client = packet.dhcp_client(frame.payload as u32);
    let header = Ipv4::header(packet, frame.payload);
    let (EtherType::IPV4, Some(header), true) = (frame.ether_type, header, client != 0) else {
        return Ok(UNCONCERNED);
    };
    let source = Ipv4::source(header);
    let is_protected = destination(tables, Ipv4::destination(header))? == Destination::Protected;
    let answered = Service::at(tables, Ends::of(IpProtocol::UDP, PORTS).source)?;
    if !answered.is_outbound() || !(is_protected || is_own(tables, client ^ dhcp::CLIENT)?) {
        return Ok(UNCONCERNED);
    }
    let inbound = Inbound::<_, _, _, FullPath> {
        packet,
        tables,
        flows,
        policy: Header::of(tables)?,
        frame,
        path: PhantomData,
    };
    let peer = inbound.peer(source)?;
    let id = peer.id();
    let rule = answered.outbound(tables, inbound.policy, peer.role())?;
    if !answered.concerns(id) || rule.id() == 0 {
        return inbound.refuse(Service::NONE, answered, id);
    }
    if is_protected {
        return Ok(UNCONCERNED);
    }
    if peer.is_bound()
        && let Err(reason) = inbound.check_origin(peer, source)?
    {
        return Ok(rule.violated(reason, id));
    }
    Ok(rule.permit(Reason::Permitted, id))
}
