//! ICMP errors about flows.

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Icmp, Icmpv6, Ipv4, Ipv6, Tcp};
use harness::net::station::{BASTION, HOST, INTRUDER, Station, VIM};
use verdict::reason::Reason;

use super::{LOCAL, outbound, permitted, refused, segment};
use crate::{both, v4, v6};

#[test]
fn an_icmp_error_passes_if_it_quotes_what_was_permitted() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let quoting = |local: Station, tcp: Tcp| {
        [
            v4(INTRUDER, HOST)
                .with(Icmp::fragmentation_needed(1400))
                .with(Ipv4::between(local.v4, VIM.v4))
                .with(tcp.clone()),
            v6(INTRUDER, HOST)
                .with(Icmpv6::too_big(1400))
                .with(Ipv6::between(local.v6, VIM.v6))
                .with(tcp),
        ]
    };
    let syn = segment(true, Tcp::SYN, 1000, 0);
    for error in quoting(HOST, syn.clone()) {
        judges.expect(&error, Reason::IcmpUnrelated)?;
    }
    for out in both(HOST, VIM) {
        judges.expect_out(&out.with(syn.clone()), permitted())?;
    }
    for error in quoting(HOST, syn.clone()) {
        judges.expect(&error, refused(Reason::IcmpError))?;
    }
    for error in quoting(INTRUDER, syn) {
        judges.expect(&error, Reason::IcmpUnrelated)?;
    }
    // An answer of one of the host's own services.
    let answer = Tcp {
        source: 22,
        destination: LOCAL,
        flags: Tcp::ACK,
        ..Tcp::to(0, 0)
    };
    let about = |station: Station| {
        v4(INTRUDER, HOST)
            .with(Icmp::fragmentation_needed(1400))
            .with(Ipv4::between(HOST.v4, station.v4))
            .with(answer.clone())
    };
    let related = Ruling::from(Reason::IcmpError)
        .under("operations", "ssh")
        .of("bastion");
    judges.expect(&about(BASTION), related)?;
    judges.expect(&about(INTRUDER), Reason::IcmpUnrelated)?;
    // Errors on egress that quote requests of peers.
    let asks = Tcp {
        source: LOCAL,
        destination: 22,
        flags: Tcp::ACK,
        ..Tcp::to(0, 0)
    };
    let about = |station: Station| {
        v4(HOST, station)
            .with(Icmp::unreachable(3))
            .with(Ipv4::between(station.v4, HOST.v4))
            .with(asks.clone())
    };
    let related = Ruling::from(Reason::IcmpError)
        .under("operations", "ssh")
        .of("bastion");
    judges.expect_out(&about(BASTION), related)?;
    judges.expect_out(&about(INTRUDER), Reason::IcmpUnrelated)
}
