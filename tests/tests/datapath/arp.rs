//! ARP passes: without it there is no management traffic to admit.

use anyhow::Result;
use harness::Packet;
use harness::judge::Judges;
use harness::net::packet::{Arp, Ethernet, Vlan};
use harness::net::station::{HOST, INTRUDER, Mac, VIM};
use verdict::reason::Reason;

use crate::{ethernet, usual};

#[test]
fn requests_and_replies_pass() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let to_all = || Ethernet {
        destination: Mac::BROADCAST,
        ..ethernet(VIM, HOST)
    };
    for arp in [
        Arp::request((VIM.mac, VIM.v4), HOST.v4),
        Arp::reply((VIM.mac, VIM.v4), (HOST.mac, HOST.v4)),
        Arp::request((INTRUDER.mac, INTRUDER.v4), HOST.v4),
    ] {
        judges.expect(
            &Packet::new().with(to_all()).with(arp.clone()),
            Reason::NotIp,
        )?;
        let tagged = Packet::new().with(to_all()).with(Vlan::new(42)).with(arp);
        judges.expect(&tagged, Reason::NotIp)?;
    }
    let nothing = Ethernet {
        ether_type: Some(0x0806),
        ..to_all()
    };
    judges.expect(&Packet::new().with(nothing).with(vec![0]), Reason::NotIp)
}
