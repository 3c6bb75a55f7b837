//! What the host answers to a peer that it has not asked.

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Tcp, Udp};
use harness::net::station::{HOST, INTRUDER};
use verdict::reason::Reason;

use super::{LOCAL, SYN_ACK, outbound};
use crate::both;

const ASKER: u16 = 5_000;

#[test]
fn answers_to_what_was_audited_open_nothing() -> Result<()> {
    let mut judges = Judges::of(&outbound("mode: audit"))?;
    let datagram = |source, destination| Udp {
        source,
        destination,
        ..Udp::to(0)
    };
    let audited = Ruling::from(Reason::NoService).audited();
    for (out, into) in both(HOST, INTRUDER).into_iter().zip(both(INTRUDER, HOST)) {
        // What the host begins is a violation.
        let begins = out.clone().with(datagram(LOCAL, ASKER + 1));
        judges.expect_out(&begins, audited.clone())?;
        let asks = into.clone().with(datagram(ASKER, 9));
        judges.expect(&asks, audited.clone())?;
        for port in [9, LOCAL] {
            let answer = out.clone().with(datagram(port, ASKER));
            judges.expect_out(&answer, Reason::Answer)?;
        }
        judges.expect(&into.with(datagram(ASKER, LOCAL)), audited.clone())?;
        let answer = Tcp {
            source: 8080,
            destination: ASKER,
            flags: SYN_ACK,
            ..Tcp::to(0, 0)
        };
        judges.expect_out(&out.with(answer), Reason::Answer)?;
    }
    Ok(())
}
