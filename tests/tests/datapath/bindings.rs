//! A bound endpoint is accepted only with the MAC address, VLAN tags and interface it is bound to.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Pooled, Ruling};
use harness::net::packet::{Ethernet, Fragment, Ipv4, Ipv6, Tcp, Vlan};
use harness::net::station::{HOST, INTRUDER, Mac, VIM};
use verdict::reason::Reason;

use crate::{both, ethernet, policy};

/// The VIM's policy, with this binding.
fn bound(binding: &str) -> Result<Pooled> {
    Judges::of(&policy(&format!(
        r#"
endpoints:
  vim: {{ role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"], {binding} }}
reference_points:
  Nf-Vi: {{ from: [vim], services: [ssh] }}
"#
    )))
}

fn permitted() -> Ruling {
    Ruling::permitted("Nf-Vi", "ssh", "vim")
}

fn wrong(reason: Reason) -> Ruling {
    Ruling::from(reason).under("Nf-Vi", "ssh").of("vim")
}

/// A connection from the VIM's addresses to SSH, behind these tags.
fn tagged(tags: &[Vlan]) -> [Packet; 2] {
    let link = || {
        let start = Packet::new().with(ethernet(VIM, HOST));
        tags.iter().cloned().fold(start, Packet::with)
    };
    [
        link().with(Ipv4::default()).with(Tcp::syn(22)),
        link().with(Ipv6::default()).with(Tcp::syn(22)),
    ]
}

fn expect(judges: &mut Judges, tags: &[Vlan], expected: &Ruling) -> Result<()> {
    for packet in tagged(tags) {
        judges.expect(&packet, expected.clone())?;
    }
    Ok(())
}

#[test]
fn to_a_mac_address() -> Result<()> {
    let mut judges = bound(&format!("mac: \"{}\"", VIM.mac))?;
    for packet in both(VIM, HOST) {
        judges.expect(&packet.with(Tcp::syn(22)), permitted())?;
    }
    let foreign = [INTRUDER.mac, Mac::BROADCAST, Mac([0; 6]), HOST.mac];
    // One wrong bit in each byte.
    let near = (0..6).map(|at| {
        let mut mac = VIM.mac;
        mac.0[at] ^= 1;
        mac
    });
    for source in foreign.into_iter().chain(near) {
        let link = Ethernet {
            source,
            ..Ethernet::default()
        };
        let packet = Packet::new().with(link).with(Ipv4::default());
        judges.expect(&packet.with(Tcp::syn(22)), wrong(Reason::WrongMac))?;
    }
    Ok(())
}

#[test]
fn to_one_tag() -> Result<()> {
    let mut judges = bound("vlan: 42")?;
    let priority = Vlan {
        priority: 7,
        ..Vlan::new(42)
    };
    for tags in [&[Vlan::new(42)][..], &[Vlan::service(42)], &[priority]] {
        expect(&mut judges, tags, &permitted())?;
    }
    // A priority tag (VLAN id 0) does not count, inside or outside.
    expect(&mut judges, &[Vlan::new(0), Vlan::new(42)], &permitted())?;
    expect(&mut judges, &[Vlan::new(42), Vlan::new(0)], &permitted())?;
    for tags in [
        &[][..],
        &[Vlan::new(0)],
        &[Vlan::new(43)],
        &[Vlan::new(0x82a)],
        &[Vlan::new(42), Vlan::new(42)],
        &[Vlan::service(1), Vlan::new(42)],
        &[Vlan::service(42), Vlan::new(1)],
    ] {
        expect(&mut judges, tags, &wrong(Reason::WrongVlan))?;
    }
    Ok(())
}

#[test]
fn to_no_tag() -> Result<()> {
    let mut judges = bound("vlan: untagged")?;
    let priority = Vlan {
        priority: 5,
        ..Vlan::new(0)
    };
    expect(&mut judges, &[], &permitted())?;
    expect(&mut judges, &[priority], &permitted())?;
    expect(&mut judges, &[Vlan::new(1)], &wrong(Reason::WrongVlan))?;
    let stacked = [Vlan::new(0), Vlan::new(1)];
    expect(&mut judges, &stacked, &wrong(Reason::WrongVlan))
}

#[test]
fn to_stacked_tags() -> Result<()> {
    let mut judges = bound("vlan: \"200.100\"")?;
    let (outer, inner) = (Vlan::service(200), Vlan::new(100));
    expect(&mut judges, &[outer.clone(), inner.clone()], &permitted())?;
    expect(&mut judges, &[Vlan::new(200), Vlan::new(100)], &permitted())?;
    for tags in [
        &[][..],
        &[Vlan::service(200)],
        &[Vlan::new(100)],
        &[inner.clone(), outer.clone()],
        &[outer, Vlan::new(101)],
        &[Vlan::service(201), inner],
    ] {
        expect(&mut judges, tags, &wrong(Reason::WrongVlan))?;
    }
    Ok(())
}

#[test]
fn to_an_interface() -> Result<()> {
    let mut here = bound("interface: eth0")?;
    expect(&mut here, &[], &permitted())?;
    expect(&mut here, &[Vlan::new(42)], &permitted())?;
    let mut elsewhere = bound("interface: eth1")?;
    expect(&mut elsewhere, &[], &wrong(Reason::WrongInterface))
}

#[test]
fn to_all_of_them_and_the_first_that_fails_is_named() -> Result<()> {
    let mac = VIM.mac;
    let mut judges = bound(&format!("mac: \"{mac}\", vlan: 42, interface: eth0"))?;
    expect(&mut judges, &[Vlan::new(42)], &permitted())?;
    expect(&mut judges, &[], &wrong(Reason::WrongVlan))?;
    let mut judges = bound(&format!("mac: \"{mac}\", vlan: 42, interface: eth1"))?;
    expect(&mut judges, &[Vlan::new(43)], &wrong(Reason::WrongVlan))?;
    expect(
        &mut judges,
        &[Vlan::new(42)],
        &wrong(Reason::WrongInterface),
    )?;
    let mut judges = bound(&format!("mac: \"{}\", vlan: 42", INTRUDER.mac))?;
    expect(&mut judges, &[], &wrong(Reason::WrongMac))
}

#[test]
fn for_later_fragments_too() -> Result<()> {
    let mut judges = bound(&format!("mac: \"{}\"", INTRUDER.mac))?;
    let fragment = Packet::v6().with(Fragment {
        offset: 10,
        ..Fragment::default()
    });
    let ungoverned = Ruling::from(Reason::WrongMac).of("vim");
    judges.expect(&fragment.with(vec![0; 64]), ungoverned)
}
