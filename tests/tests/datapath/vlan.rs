//! Up to two VLAN tags of either type are parsed.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Arp, Ipv4, Ipv6, Tcp, Vlan};
use harness::net::station::{GUEST, HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{ethernet, usual};

fn behind(tags: &[Vlan]) -> Packet {
    let start = Packet::new().with(ethernet(VIM, HOST));
    tags.iter().cloned().fold(start, Packet::with)
}

/// Stacks of none, one and two tags, of every kind.
fn stacks() -> Vec<Vec<Vlan>> {
    let kinds = [
        Vlan::new(0),
        Vlan::new(7),
        Vlan::service(4094),
        Vlan::new(4095),
    ];
    let mut stacks = vec![Vec::new()];
    for outer in &kinds {
        stacks.push(vec![outer.clone()]);
        for inner in &kinds {
            stacks.push(vec![outer.clone(), inner.clone()]);
        }
    }
    stacks
}

#[test]
fn an_endpoint_without_a_vlan_binding_may_have_any_tags() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for tags in stacks() {
        let permitted = Ruling::permitted("Nf-Vi", "ssh", "vim");
        let v4 = behind(&tags).with(Ipv4::default()).with(Tcp::syn(22));
        judges.expect(&v4, permitted.clone())?;
        let v6 = behind(&tags).with(Ipv6::default()).with(Tcp::syn(22));
        judges.expect(&v6, permitted)?;
    }
    Ok(())
}

#[test]
fn packets_behind_tags_are_judged() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for tags in stacks() {
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
        let packet = behind(&tags).with(Ipv4::between(INTRUDER.v4, HOST.v4));
        judges.expect(&packet.with(Tcp::syn(22)), unknown)?;
        let tenant = behind(&tags).with(Ipv6::between(INTRUDER.v6, GUEST.v6));
        judges.expect(&tenant.with(Tcp::syn(22)), Reason::Unprotected)?;
        let arp = Arp::request((VIM.mac, VIM.v4), HOST.v4);
        judges.expect(&behind(&tags).with(arp), Reason::NotIp)?;
    }
    Ok(())
}

#[test]
fn more_than_two_tags_are_refused() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for tags in stacks().into_iter().filter(|tags| tags.len() == 2) {
        for third in [Vlan::new(0), Vlan::new(5), Vlan::service(5)] {
            let packet = behind(&tags).with(third).with(Ipv4::default());
            judges.expect(&packet.with(Tcp::syn(22)), Reason::VlanDepth)?;
        }
    }
    Ok(())
}
