//! Options move the transport header: a parser that assumes 20 bytes reads ports from options.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Ipv4, Tcp, Udp};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{NO_SERVICE, ethernet, usual};

fn with(options: Vec<u8>) -> Packet {
    Packet::new().with(ethernet(VIM, HOST)).with(Ipv4 {
        options,
        ..Ipv4::default()
    })
}

#[test]
fn of_every_length() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for words in 0..=10 {
        let ssh = Ruling::permitted("Nf-Vi", "ssh", "vim");
        judges.expect(&with(vec![1; words * 4]).with(Tcp::syn(22)), ssh)?;
        let relay = Ruling::permitted("Nf-Vi", "relay", "vim");
        judges.expect(&with(vec![0; words * 4]).with(Udp::to(7000)), relay)?;
        let closed = with(vec![1; words * 4]).with(Tcp::syn(NO_SERVICE));
        judges.expect(&closed, Reason::NoService)?;
    }
    Ok(())
}

#[test]
fn that_look_like_a_transport_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    // Ports 49152 to 22, where a header without options would end.
    let decoy = vec![0xc0, 0x00, 0x00, 0x16];
    let closed = with(decoy.clone()).with(Tcp::syn(NO_SERVICE));
    judges.expect(&closed, Reason::NoService)?;
    let intruder = Packet::new().with(ethernet(INTRUDER, HOST)).with(Ipv4 {
        options: [0xc0, 0x00, 0x11, 0x5c].to_vec(),
        ..Ipv4::between(INTRUDER.v4, HOST.v4)
    });
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
    judges.expect(&intruder.with(Tcp::syn(22)), unknown)
}

#[test]
fn that_ask_for_another_route() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for kind in [131, 137] {
        let mut option = vec![kind, 7, 4];
        option.extend(INTRUDER.v4.octets());
        let ssh = Ruling::permitted("Nf-Vi", "ssh", "vim");
        judges.expect(&with(option).with(Tcp::syn(22)), ssh)?;
    }
    Ok(())
}
