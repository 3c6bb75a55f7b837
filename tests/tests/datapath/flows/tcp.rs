//! TCP connections: which segments open one, answer it, and are within its window.

use anyhow::Result;
use harness::judge::Judges;
use harness::net::packet::Tcp;
use harness::net::station::{HOST, VIM};
use verdict::reason::Reason;

use super::{LOCAL, SYN_ACK, answered, establish, outbound, permitted, refused, segment};
use crate::{both, v4};

#[test]
fn answers_come_in_only_to_what_went_out() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    for (out, into) in both(HOST, VIM).into_iter().zip(both(VIM, HOST)) {
        for flags in [SYN_ACK, Tcp::ACK, Tcp::RST, Tcp::FIN, 0, Tcp::SYN] {
            let packet = into.clone().with(segment(false, flags, 7, 1001));
            judges.expect(&packet, refused(Reason::NoFlow))?;
        }
        establish(&mut judges, &out, &into)?;
        judges.expect_out(
            &out.clone().with(segment(true, Tcp::ACK, 1001, 8)),
            permitted(),
        )?;
        judges.expect(
            &into.clone().with(segment(false, Tcp::ACK, 8, 1001)),
            answered(),
        )?;
        let elsewhere = Tcp {
            destination: LOCAL + 1,
            ..segment(false, Tcp::ACK, 8, 1001)
        };
        judges.expect(&into.clone().with(elsewhere), refused(Reason::NoFlow))?;
        let syn = segment(false, Tcp::SYN, 8, 0);
        judges.expect(&into.with(syn), refused(Reason::NoFlow))?;
    }
    Ok(())
}

#[test]
fn an_answer_acknowledges_what_was_sent() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let isn = 0x1234_5678;
    judges.expect_out(
        &out.clone().with(segment(true, Tcp::SYN, isn, 0)),
        permitted(),
    )?;
    let wrong = 0x4321_0000;
    for flags in [SYN_ACK, Tcp::RST | Tcp::ACK, Tcp::RST] {
        let packet = into.clone().with(segment(false, flags, 7, wrong));
        judges.expect(&packet, refused(Reason::OutOfWindow))?;
    }
    judges.expect(
        &into.clone().with(segment(false, SYN_ACK, 7, isn + 1)),
        answered(),
    )?;
    judges.expect_out(&out.with(segment(true, Tcp::ACK, isn + 1, 8)), permitted())?;
    for far in [0x2000_0000, 0xe000_0000] {
        for flags in [Tcp::ACK, Tcp::RST, Tcp::RST | Tcp::ACK] {
            let packet = into.clone().with(segment(false, flags, far, isn + 1));
            judges.expect(&packet, refused(Reason::OutOfWindow))?;
        }
    }
    for flags in [0, Tcp::FIN, Tcp::FIN | Tcp::PSH] {
        let packet = into.clone().with(segment(false, flags, 8, isn + 1));
        judges.expect(&packet, refused(Reason::TcpFlags))?;
    }
    judges.expect(&into.with(segment(false, Tcp::RST, 8, 0)), answered())
}

#[test]
fn both_sides_may_open_at_once() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    judges.expect_out(
        &out.clone().with(segment(true, Tcp::SYN, 1000, 0)),
        permitted(),
    )?;
    judges.expect(
        &into.clone().with(segment(false, Tcp::SYN, 7, 0)),
        answered(),
    )?;
    judges.expect_out(
        &out.clone().with(segment(true, SYN_ACK, 1000, 8)),
        permitted(),
    )?;
    judges.expect(
        &into.clone().with(segment(false, SYN_ACK, 7, 1001)),
        answered(),
    )?;
    judges.expect_out(&out.with(segment(true, Tcp::ACK, 1001, 8)), permitted())?;
    judges.expect(&into.with(segment(false, Tcp::ACK, 8, 1001)), answered())
}
