//! How flows are taken over mid-stream, expire, and are evicted from a full table.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Tcp, Udp};
use harness::net::station::{GUEST, HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use super::{SYN_ACK, answered, establish, outbound, permitted, refused, segment};
use crate::{both, v4};

#[test]
fn an_idle_flow_expires() -> Result<()> {
    let short = "flow_timeouts: { tcp-opening: 1s, udp-opening: 1s }";
    let mut judges = Judges::of(&outbound(short))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let syn = out.with(segment(true, Tcp::SYN, 1000, 0));
    let answer = into.with(segment(false, SYN_ACK, 7, 1001));
    judges.expect_out(&syn, permitted())?;
    thread::sleep(Duration::from_millis(1800));
    judges.expect(&answer, refused(Reason::NoFlow))?;
    judges.expect_out(&syn, permitted())?;
    judges.expect(&answer, answered())?;
    thread::sleep(Duration::from_millis(1800));
    judges.expect(&answer, answered())
}

/// Only those of guests: the agent knows the host's own connections.
#[test]
fn connections_of_guests_are_taken_over_mid_stream_for_a_time() -> Result<()> {
    let text = outbound("").replace(
        "protect: [interface-addresses]",
        "protect: [interface-addresses, 203.0.113.10, \"2001:db8:0:113::10\"]",
    );
    let mut judges = Judges::of(&text)?;
    let data = segment(false, Tcp::ACK, 8, 1001);
    for [to_guest, to_host] in both(VIM, GUEST)
        .into_iter()
        .zip(both(VIM, HOST))
        .map(<[_; 2]>::from)
    {
        judges.expect(
            &to_guest.clone().with(data.clone()),
            refused(Reason::NoFlow),
        )?;
        judges.adopt_for(60)?;
        for flags in [Tcp::SYN, SYN_ACK, Tcp::RST, 0] {
            let packet = to_guest.clone().with(segment(false, flags, 8, 1001));
            judges.expect(&packet, refused(Reason::NoFlow))?;
        }
        judges.expect(&to_guest.clone().with(data.clone()), answered())?;
        judges.expect(&to_host.with(data.clone()), refused(Reason::NoFlow))?;
        judges.adopt_for(0)?;
        judges.expect(&to_guest.with(data.clone()), answered())?;
    }
    judges.adopt_for(60)?;
    let unknown = Ruling::from(Reason::UnknownSource).under("out", "amqps");
    judges.expect(&v4(INTRUDER, GUEST).with(data), unknown)
}

#[test]
fn a_full_table_evicts_flows_without_an_answer() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    // Also where connections are taken over mid-stream.
    judges.adopt_for(60)?;
    establish(&mut judges, &out, &into)?;
    // Three times as many requests as the table has entries; none is refused.
    for port in 50_000..62_288 {
        let question = Udp {
            source: port,
            ..Udp::to(53)
        };
        let asked = Ruling::outbound("out", "dns", "vim");
        judges.expect_out(&out.clone().with(question), asked)?;
    }
    let more = segment(false, Tcp::ACK, 8, 1001);
    judges.expect(&into.with(more), answered())?;
    judges.adopt_for(0)
}
