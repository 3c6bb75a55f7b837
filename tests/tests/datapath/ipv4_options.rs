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
    // Ports 49156 to 22, where a header without options would end.
    let decoy = vec![0xc0, 0x04, 0x00, 0x16];
    let closed = with(decoy.clone()).with(Tcp::syn(NO_SERVICE));
    judges.expect(&closed, Reason::NoService)?;
    let intruder = Packet::new().with(ethernet(INTRUDER, HOST)).with(Ipv4 {
        options: [0xc0, 0x04, 0x11, 0x5c].to_vec(),
        ..Ipv4::between(INTRUDER.v4, HOST.v4)
    });
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
    judges.expect(&intruder.with(Tcp::syn(22)), unknown)
}

/// Source routes, loose and strict, in any place among the options, and in every fragment.
#[test]
fn that_ask_for_another_route() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for kind in [131, 137] {
        for before in 0..=32 {
            let mut options = vec![1; before];
            options.extend([kind, 7, 4]);
            options.extend(INTRUDER.v4.octets());
            options.resize(options.len().next_multiple_of(4), 0);
            let packet = with(options.clone()).with(Tcp::syn(22));
            judges.expect(&packet, Reason::SourceRoute)?;
        }
        let later = Packet::new().with(ethernet(VIM, HOST)).with(Ipv4 {
            options: vec![kind, 3, 4, 0],
            fragment_offset: 8,
            protocol: Some(6),
            ..Ipv4::default()
        });
        judges.expect(&later.with(vec![0; 32]), Reason::SourceRoute)?;
        // In the data of another option, and behind the end of all.
        for options in [vec![148, 8, kind, 3, 4, 0, 0, 0], vec![0, kind, 3, 4]] {
            let ssh = Ruling::permitted("Nf-Vi", "ssh", "vim");
            judges.expect(&with(options).with(Tcp::syn(22)), ssh)?;
        }
    }
    Ok(())
}

#[test]
fn that_contradict_their_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for options in [vec![148, 0, 1, 1], vec![148, 1, 1, 1], vec![1, 1, 148, 9]] {
        judges.expect(&with(options).with(Tcp::syn(22)), Reason::Ipv4Header)?;
    }
    Ok(())
}
