//! Without a policy the programs drop everything. They are attached only after the first one.

use anyhow::Result;
use harness::judge::Judges;
use harness::net::packet::{Arp, Packet, Tcp};
use harness::net::station::{GUEST, HOST, INTRUDER, VIM};
use verdict::reason::Outcome;

use crate::{both, ethernet, usual, v4};

#[test]
fn everything_is_dropped_for_the_reason_no_policy() -> Result<()> {
    let mut judges = Judges::load()?;
    let arp = Arp::request((VIM.mac, VIM.v4), HOST.v4);
    let [four, six] = both(VIM, HOST);
    for packet in [
        four.with(Tcp::syn(22)),
        six.with(Tcp::ack(22)),
        v4(INTRUDER, GUEST).with(Tcp::syn(22)),
        Packet::new().with(ethernet(VIM, HOST)).with(arp),
    ] {
        let outcomes = judges.programs(&packet.build())?;
        assert_eq!(outcomes, [Outcome::NO_POLICY; 2]);
    }
    Ok(())
}

#[test]
fn the_first_policy_ends_that() -> Result<()> {
    let mut judges = Judges::alone(&usual(""))?;
    let frame = v4(VIM, HOST).with(Tcp::syn(22)).build();
    let outcome = judges.outcome(&frame)?;
    assert_ne!(outcome, Outcome::NO_POLICY);
    assert_eq!(judges.programs(&frame)?, [outcome; 2]);
    Ok(())
}
