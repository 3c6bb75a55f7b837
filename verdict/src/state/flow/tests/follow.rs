use super::super::{
    entry::{Entry, Half},
    key::{CONNECTION, Key},
};
use crate::{
    frame::transport::{ACK, FIN, RST, SYN},
    reason::Reason,
    tests::sample::{HOST, Table, VIM},
};

use super::*;

#[test]
fn a_connection_opens_and_closes() {
    let table = table(4);
    let key = key(40_000);
    assert_eq!(state(&table, &key), None);
    assert!(sent(&table, &key, segment(SYN, 0x1000_ffff, 0)));
    assert_eq!(state(&table, &key), Some("tcp-opening"));
    let answer = segment(SYN | ACK, 0xabcd_0000, 0x1001_0000);
    assert_eq!(received(&table, &key, answer), Ok(()));
    assert_eq!(state(&table, &key), Some("tcp-established"));
    assert!(sent(&table, &key, segment(ACK, 0x1001_0000, 0xabcd_0001)));
    assert_eq!(
        received(&table, &key, segment(ACK | FIN, 0xabcd_0001, 0)),
        Ok(())
    );
    assert_eq!(state(&table, &key), Some("tcp-closing"));
    assert!(sent(&table, &key, segment(RST, 0x1001_0000, 0)));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    let flow = found(&table, &key).and_then(Entry::read).expect("a flow");
    assert_eq!((flow.sent.bytes(), flow.received.bytes()), (300, 120));
    // The same ports, opened again.
    assert!(sent(&table, &key, segment(SYN, 5, 0)));
    assert_eq!(state(&table, &key), Some("tcp-opening"));
}

#[test]
fn only_an_opening_or_the_midst_of_a_connection_opens_a_flow() {
    for flags in 0..=u8::MAX {
        let table = table(4);
        let key = key(1);
        assert!(sent(&table, &key, segment(flags, 1, 1)));
        let opens = flags & (SYN | RST) == SYN && flags & ACK == 0;
        let continues = flags & (SYN | ACK | RST) == ACK;
        assert_eq!(
            found(&table, &key).is_some(),
            opens || continues,
            "{flags:#x}"
        );
    }
}

#[test]
fn a_reset_that_does_not_belong_here_changes_nothing() {
    let table = table(4);
    let key = key(1);
    sent(&table, &key, segment(SYN, 0x5000_0000, 0));
    for reset in [segment(RST, 0, 0), segment(RST | ACK, 0, 0x6000_0000)] {
        assert_eq!(received(&table, &key, reset), Err(Reason::OutOfWindow));
    }
    assert_eq!(state(&table, &key), Some("tcp-opening"));
    assert_eq!(
        received(&table, &key, segment(RST | ACK, 0, 0x5000_0001)),
        Ok(())
    );
    assert_eq!(state(&table, &key), Some("tcp-closed"));
}

#[test]
fn an_older_connection_of_the_peer_can_be_reset() {
    let table = table(4);
    let key = key(1);
    sent(&table, &key, segment(SYN, 1, 0));
    assert_eq!(
        received(&table, &key, segment(ACK, 77, 0x7000_0000)),
        Ok(())
    );
    assert_eq!(state(&table, &key), Some("tcp-opening"));
}

#[test]
fn flags_tell_what_opens_and_what_continues() {
    for flags in 0..=u8::MAX {
        let segment = segment(flags, 0, 0);
        let (syn, ack, rst) = (flags & SYN != 0, flags & ACK != 0, flags & RST != 0);
        assert_eq!(segment.opens(), syn && !ack && !rst, "{flags:#x}");
        assert_eq!(segment.continues(), ack && !syn && !rst, "{flags:#x}");
    }
}

const ISN: u32 = 0x1000_ffff;
const NEXT: u32 = 0x5000_0000;

/// A table with a connection that the host has opened.
pub fn opening() -> Table {
    let table = table(4);
    assert!(sent(&table, &key(1), segment(SYN, ISN, 0)));
    table
}

/// The same, answered and acknowledged: the host expects [`NEXT`].
fn established() -> Table {
    let table = opening();
    let answer = segment(SYN | ACK, NEXT - 1, ISN + 1);
    assert_eq!(received(&table, &key(1), answer), Ok(()));
    assert!(sent(&table, &key(1), segment(ACK, ISN + 1, NEXT)));
    table
}

#[test]
fn what_comes_before_the_answer() {
    let outcome = |flags, acknowledgement| {
        let table = opening();
        let received = received(&table, &key(1), segment(flags, 7, acknowledgement));
        received.map(|()| state(&table, &key(1)).expect("a flow"))
    };
    let (right, wrong) = (ISN + 1, ISN + 0x2_0001);
    assert_eq!(outcome(SYN | ACK, right), Ok("tcp-established"));
    // Data that went with the SYN may be acknowledged.
    assert_eq!(outcome(SYN | ACK, right + 0x1_0000), Ok("tcp-established"));
    assert_eq!(outcome(SYN | ACK, wrong), Err(Reason::OutOfWindow));
    assert_eq!(
        outcome(SYN | ACK, right - 0x1_0000),
        Err(Reason::OutOfWindow)
    );
    assert_eq!(outcome(SYN, 0), Ok("tcp-opening"), "both open at once");
    assert_eq!(outcome(RST | ACK, right), Ok("tcp-closed"));
    assert_eq!(outcome(RST | ACK, wrong), Err(Reason::OutOfWindow));
    assert_eq!(outcome(RST, right), Err(Reason::OutOfWindow));
    assert_eq!(
        outcome(ACK, wrong),
        Ok("tcp-opening"),
        "of an older connection"
    );
    // A server that answers at once, and has no more to say (RFC 7413).
    assert_eq!(outcome(SYN | ACK | FIN, right), Ok("tcp-closing"));
    assert_eq!(outcome(SYN | ACK | FIN, wrong), Err(Reason::OutOfWindow));
    for flags in [0, FIN, 0x20, SYN | FIN, SYN | RST, SYN | ACK | RST] {
        assert_eq!(outcome(flags, right), Err(Reason::TcpFlags), "{flags:#x}");
    }
}

#[test]
fn what_comes_in_a_connection() {
    let outcome = |flags, sequence| {
        let table = established();
        let received = received(&table, &key(1), segment(flags, sequence, 0));
        received.map(|()| state(&table, &key(1)).expect("a flow"))
    };
    let window = 2048 << 16;
    for sequence in [NEXT, NEXT + window, NEXT - window] {
        assert_eq!(outcome(ACK, sequence), Ok("tcp-established"));
        assert_eq!(outcome(SYN | ACK, sequence), Ok("tcp-established"));
        assert_eq!(outcome(ACK | FIN, sequence), Ok("tcp-closing"));
        assert_eq!(outcome(RST, sequence), Ok("tcp-closed"));
    }
    for sequence in [NEXT + window + 0x1_0000, NEXT - window - 0x1_0000, !NEXT] {
        for flags in [ACK, SYN | ACK, ACK | FIN, RST, RST | ACK] {
            assert_eq!(outcome(flags, sequence), Err(Reason::OutOfWindow));
        }
    }
    assert_eq!(outcome(SYN, NEXT), Err(Reason::NoFlow));
    for flags in [0, FIN, SYN | FIN, SYN | RST] {
        assert_eq!(outcome(flags, NEXT), Err(Reason::TcpFlags), "{flags:#x}");
    }
}

#[test]
fn what_the_host_says_is_noted() {
    let table = established();
    let key = key(1);
    // A reset alone acknowledges nothing: what is expected next stays.
    assert!(sent(&table, &key, segment(RST, ISN, 0)));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    assert_eq!(received(&table, &key, segment(ACK, NEXT, 0)), Ok(()));
    let table = established();
    assert!(sent(&table, &key, segment(FIN | ACK, ISN, NEXT)));
    assert_eq!(state(&table, &key), Some("tcp-closing"));
    let table = established();
    let later = NEXT + 0x4000_0000;
    assert!(sent(&table, &key, segment(ACK, ISN, later)));
    assert_eq!(received(&table, &key, segment(ACK, later, 0)), Ok(()));
    let old = received(&table, &key, segment(ACK, NEXT, 0));
    assert_eq!(old, Err(Reason::OutOfWindow));
}

#[test]
fn opening_again_is_the_same_until_it_was_answered() {
    let opened = |table: &Table| {
        let flow = found(table, &key(1)).and_then(Entry::read).expect("a flow");
        (flow.opened, flow.received.bytes())
    };
    let mut table = opening();
    table.now += 5;
    assert!(sent(&table, &key(1), segment(SYN, ISN, 0)));
    assert_eq!(opened(&table), (table.now - 5, 0));
    let mut table = established();
    table.now += 5;
    assert_eq!(opened(&table), (table.now - 5, 60));
    assert!(sent(&table, &key(1), segment(SYN, ISN, 0)));
    assert_eq!(opened(&table), (table.now, 0));
    assert_eq!(state(&table, &key(1)), Some("tcp-opening"));
}

#[test]
fn what_begins_nothing_opens_nothing() {
    let table = table(4);
    for flags in [RST, RST | ACK, SYN | ACK, SYN | RST, FIN, 0] {
        assert!(sent(&table, &key(1), segment(flags, 1, 1)));
        assert_eq!(state(&table, &key(1)), None, "{flags:#x}");
    }
    assert!(sent(&table, &key(1), segment(ACK, 1, NEXT)));
    assert_eq!(state(&table, &key(1)), Some("tcp-established"));
    let old = received(&table, &key(1), segment(ACK, !NEXT, 0));
    assert_eq!(old, Err(Reason::OutOfWindow));
}

#[test]
fn what_is_taken_over_is_trusted_until_the_host_speaks() {
    let mut table = table(4);
    table.adopting = true;
    assert!(sent(&table, &key(1), segment(ACK, 1, NEXT)));
    assert_eq!(received(&table, &key(1), segment(ACK, !NEXT, 0)), Ok(()));
    assert!(sent(&table, &key(1), segment(ACK, 1, NEXT)));
    let old = received(&table, &key(1), segment(ACK, !NEXT, 0));
    assert_eq!(old, Err(Reason::OutOfWindow));
    assert!(sent(&table, &key(3), segment(ACK, 1, NEXT)));
    assert_eq!(
        received(&table, &key(3), segment(ACK | FIN, !NEXT, 0)),
        Ok(())
    );
    assert_eq!(state(&table, &key(3)), Some("tcp-closing"));
    // A SYN is the beginning, and of a datagram nothing is known.
    assert!(sent(&table, &key(2), segment(SYN, 1, 0)));
    assert_eq!(state(&table, &key(2)), Some("tcp-opening"));
    let udp = Key::new(CONNECTION, HOST, VIM, UDP, 5);
    assert!(sent(&table, &udp, segment(0, 0, 0)));
    assert_eq!(state(&table, &udp), Some("udp-opening"));
}

#[test]
fn an_association_is_ended_by_either_side() {
    const SCTP: u8 = 132;
    let key = Key::new(CONNECTION, HOST, VIM, SCTP, 5);
    let table = table(4);
    assert!(sent(&table, &key, segment(0, 0, 0)));
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    assert_eq!(received(&table, &key, segment(0, 0, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-established"));
    assert_eq!(received(&table, &key, segment(RST, 0, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-closed"));
    let other = Key::new(CONNECTION, HOST, VIM, SCTP, 6);
    assert!(sent(&table, &other, segment(RST, 0, 0)));
    assert_eq!(state(&table, &other), Some("sctp-closed"));
    // An end is an answer, too.
    assert_eq!(received(&table, &other, segment(RST, 0, 0)), Ok(()));
    let flow = found(&table, &other).and_then(Entry::read).expect("a flow");
    assert!(flow.received.has(Half::SEEN));
}

#[test]
fn what_ended_a_connection_does_not_reach_the_next() {
    type End = fn(&Table, &Key);
    const SCTP: u8 = 132;
    for (protocol, opening, open) in [
        (TCP, "tcp-opening", "tcp-established"),
        (SCTP, "sctp-opening", "sctp-established"),
    ] {
        let ends: [(&str, End); 4] = [
            ("refused by the peer", |table, key| {
                let reset = segment(RST | ACK, 0, 0x1001);
                assert_eq!(received(table, key, reset), Ok(()));
            }),
            ("answered, and ended by the peer", |table, key| {
                assert_eq!(received(table, key, segment(SYN | ACK, 7, 0x1001)), Ok(()));
                assert!(sent(table, key, segment(ACK, 0x1001, 8)));
                assert_eq!(received(table, key, segment(RST, 8, 0)), Ok(()));
            }),
            ("given up by the host", |table, key| {
                assert!(sent(table, key, segment(RST, 0x1001, 0)));
            }),
            ("left by the host", |table, key| {
                assert!(sent(table, key, segment(FIN | ACK, 0x1001, 8)));
            }),
        ];
        for (how, end) in ends {
            let table = table(4);
            let key = Key::new(CONNECTION, HOST, VIM, protocol, 40_000 << 16 | 5671);
            assert!(sent(&table, &key, segment(SYN, 0x1000, 0)));
            end(&table, &key);
            assert!(sent(&table, &key, segment(SYN, 0x9000_0000, 0)));
            assert_eq!(state(&table, &key), Some(opening), "{how}");
            assert_eq!(
                received(&table, &key, segment(SYN | ACK, 3, 0x9000_0001)),
                Ok(())
            );
            assert!(sent(&table, &key, segment(ACK, 0x9000_0001, 4)));
            assert_eq!(received(&table, &key, segment(ACK, 4, 0x9000_0001)), Ok(()));
            assert_eq!(state(&table, &key), Some(open), "{how}");
        }
    }
}

#[test]
fn a_repeated_opening_keeps_its_flow() {
    let table = table(4);
    let key = key(1);
    for _ in 0..3 {
        assert!(sent(&table, &key, segment(SYN, 0x1000, 0)));
    }
    let flow = found(&table, &key).and_then(Entry::read).expect("a flow");
    assert_eq!(flow.sent.bytes(), 300, "one flow counts all of them");
}
