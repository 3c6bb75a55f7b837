use super::super::{
    Slot,
    key::{CONNECTION, Key},
};
use crate::{
    frame::transport::{ACK, FIN, RST, SYN, Segment, TAG_REFLECTED},
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
    let flow = found(&table, &key).and_then(Slot::read).expect("a flow");
    assert_eq!((flow.sent.bytes(), flow.received.bytes()), (300, 120));
    // The same ports, opened again.
    assert!(sent(&table, &key, segment(SYN, 5, 0)));
    assert_eq!(state(&table, &key), Some("tcp-opening"));
}

#[test]
fn only_an_opening_opens_a_flow() {
    for flags in 0..=u8::MAX {
        let table = table(4);
        let key = key(1);
        assert!(sent(&table, &key, segment(flags, 1, 1)));
        let opens = flags & (SYN | RST) == SYN && flags & ACK == 0;
        assert_eq!(found(&table, &key).is_some(), opens, "{flags:#x}");
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
    let right = ISN + 1;
    assert_eq!(outcome(SYN | ACK, right), Ok("tcp-established"));
    // Data that went with the SYN may be acknowledged (RFC 7413), and FIN come with the answer.
    assert_eq!(outcome(SYN | ACK, right + 0xffff), Ok("tcp-established"));
    assert_eq!(outcome(SYN | ACK | FIN, right), Ok("tcp-closing"));
    for wrong in [right - 1, right + 0x1_0000, !right] {
        assert_eq!(outcome(SYN | ACK, wrong), Err(Reason::OutOfWindow));
        assert_eq!(outcome(RST | ACK, wrong), Err(Reason::OutOfWindow));
        assert_eq!(
            outcome(ACK, wrong),
            Ok("tcp-opening"),
            "of an older connection"
        );
    }
    assert_eq!(outcome(SYN, 0), Ok("tcp-opening"), "both open at once");
    assert_eq!(outcome(RST | ACK, right), Ok("tcp-closed"));
    assert_eq!(outcome(RST, right), Err(Reason::OutOfWindow));
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
    let window = 128 << 20;
    for sequence in [NEXT, NEXT + window, NEXT - window] {
        assert_eq!(outcome(ACK, sequence), Ok("tcp-established"));
        assert_eq!(outcome(SYN | ACK, sequence), Ok("tcp-established"));
    }
    for sequence in [NEXT + window + 1, NEXT - window - 1, !NEXT] {
        for flags in [ACK, SYN | ACK, ACK | FIN, RST, RST | ACK] {
            assert_eq!(outcome(flags, sequence), Err(Reason::OutOfWindow));
        }
    }
    assert_eq!(outcome(SYN, NEXT), Err(Reason::NoFlow));
    for flags in [0, FIN, SYN | FIN, SYN | RST] {
        assert_eq!(outcome(flags, NEXT), Err(Reason::TcpFlags), "{flags:#x}");
    }
}

/// What the host's stack takes for an end: a segment that is exactly the next one (RFC 5961).
#[test]
fn only_what_follows_ends_a_connection() {
    let ends = |table: &Table, flags, sequence| {
        assert_eq!(
            received(table, &key(1), segment(flags, sequence, 0)),
            Ok(()),
            "passes"
        );
        state(table, &key(1)).expect("a flow")
    };
    for (flags, end) in [
        (RST, "tcp-closed"),
        (RST | ACK, "tcp-closed"),
        (FIN | ACK, "tcp-closing"),
    ] {
        assert_eq!(ends(&established(), flags, NEXT), end);
        for forged in [NEXT + 1, NEXT - 1, NEXT + 20_000_000, NEXT - 20_000_000, 0] {
            if forged != 0 {
                assert_eq!(ends(&established(), flags, forged), "tcp-established");
            }
        }
        // What the host has not acknowledged yet, it may have received.
        let table = established();
        let data = Segment {
            next: NEXT + 100,
            ..segment(ACK, NEXT, 0)
        };
        assert_eq!(received(&table, &key(1), data), Ok(()));
        assert_eq!(ends(&table, flags, NEXT + 50), "tcp-established");
        assert_eq!(ends(&table, flags, NEXT + 100), end);
        // What lies behind a gap is nobody's end, until the host has acknowledged it.
        let table = established();
        let data = Segment {
            next: NEXT + 200,
            ..segment(ACK, NEXT + 100, 0)
        };
        assert_eq!(received(&table, &key(1), data), Ok(()));
        assert_eq!(ends(&table, flags, NEXT + 200), "tcp-established");
        assert!(sent(&table, &key(1), segment(ACK, ISN + 1, NEXT + 200)));
        assert_eq!(ends(&table, flags, NEXT + 200), end);
    }
}

#[test]
fn what_is_taken_over_is_not_ended_by_whoever_guesses() {
    let mut table = table(4);
    table.adopting = true;
    assert!(sent(&table, &key(1), segment(ACK, 1, NEXT)));
    for flags in [RST, FIN | ACK] {
        for sequence in [0, 1, NEXT, !NEXT] {
            assert_eq!(
                received(&table, &key(1), segment(flags, sequence, 0)),
                Ok(())
            );
            assert_eq!(state(&table, &key(1)), Some("tcp-established"));
        }
    }
    assert!(sent(&table, &key(1), segment(ACK, 1, NEXT)));
    assert_eq!(
        received(&table, &key(1), segment(RST, 0, 0)),
        Err(Reason::OutOfWindow)
    );
    assert_eq!(received(&table, &key(1), segment(RST, NEXT, 0)), Ok(()));
    assert_eq!(state(&table, &key(1)), Some("tcp-closed"));
}

#[test]
fn whoever_goes_on_has_not_ended() {
    let key = key(1);
    let table = established();
    assert_eq!(received(&table, &key, segment(RST, NEXT, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    // What was sent before the end arrives late; what comes behind it shows that there was none.
    assert_eq!(received(&table, &key, segment(ACK, NEXT - 100, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    assert_eq!(received(&table, &key, segment(ACK, NEXT, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("tcp-established"));
    // The host answers with a reset what belongs to none of its connections.
    assert!(sent(&table, &key, segment(RST | ACK, 77, 0x7777_7777)));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    assert_eq!(received(&table, &key, segment(ACK, NEXT, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("tcp-closed"));
    assert!(sent(&table, &key, segment(ACK, ISN + 1, NEXT)));
    assert_eq!(state(&table, &key), Some("tcp-established"));
}

#[test]
fn what_the_host_says_is_noted() {
    let table = established();
    let key = key(1);
    // What a reset says is expected by nobody.
    assert!(sent(&table, &key, segment(RST | ACK, ISN, 0)));
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
        let flow = found(table, &key(1)).and_then(Slot::read).expect("a flow");
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
    for flags in [RST, RST | ACK, SYN | ACK, SYN | RST, FIN, FIN | ACK, ACK, 0] {
        assert!(sent(&table, &key(1), segment(flags, 1, 1)));
        assert_eq!(state(&table, &key(1)), None, "{flags:#x}");
    }
    let association = Key::new(CONNECTION, HOST, VIM, SCTP, 5);
    for flags in [RST, 0] {
        assert!(sent(&table, &association, segment(flags, 0, 0)));
        assert_eq!(state(&table, &association), None, "{flags:#x}");
    }
}

#[test]
fn what_the_host_goes_on_with_has_not_ended() {
    let mut table = established();
    table.now += 100_000_000;
    assert_eq!(state(&table, &key(1)), None);
    assert!(sent(&table, &key(1), segment(ACK, ISN + 1, NEXT)));
    assert_eq!(state(&table, &key(1)), Some("tcp-established"));
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
    assert_eq!(state(&table, &key(3)), Some("tcp-established"));
    for flags in [RST, SYN | ACK] {
        assert!(sent(&table, &key(4), segment(flags, 1, NEXT)));
        assert_eq!(state(&table, &key(4)), None, "{flags:#x}");
    }
    // A SYN is the beginning, and of a datagram nothing is known.
    assert!(sent(&table, &key(2), segment(SYN, 1, 0)));
    assert_eq!(state(&table, &key(2)), Some("tcp-opening"));
    let udp = Key::new(CONNECTION, HOST, VIM, UDP, 5);
    assert!(sent(&table, &udp, segment(0, 0, 0)));
    assert_eq!(state(&table, &udp), Some("udp-opening"));
}

const SCTP: u8 = 132;

/// A packet of an association, with this verification tag.
fn chunk(flags: u8, tag: u32, initiate_tag: u32) -> Segment {
    Segment {
        flags,
        sequence: tag,
        acknowledgement: initiate_tag,
        next: 0,
    }
}

/// An association: the host's packets carry the tag 7, the peer's the tag 9.
fn associated() -> (Table, Key) {
    let key = Key::new(CONNECTION, HOST, VIM, SCTP, 5);
    let table = table(4);
    assert!(sent(&table, &key, chunk(SYN, 0, 9)));
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    // An answer to another association is discarded.
    assert_eq!(received(&table, &key, chunk(SYN | ACK, 8, 7)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    assert_eq!(received(&table, &key, chunk(SYN | ACK, 9, 7)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-established"));
    assert!(sent(&table, &key, chunk(0, 7, 0)));
    (table, key)
}

/// RFC 9260, 8.5.1: an end carries the receiver's tag, or reflects the sender's.
#[test]
fn only_the_right_tag_ends_an_association() {
    for (flags, tag, ends) in [
        (RST, 9, true),
        (RST, 7, false),
        (RST, 0, false),
        (RST, 8, false),
        (RST | TAG_REFLECTED, 7, true),
        (RST | TAG_REFLECTED, 9, false),
        (RST | TAG_REFLECTED, 0, false),
    ] {
        let (table, key) = associated();
        assert_eq!(received(&table, &key, chunk(flags, tag, 0)), Ok(()));
        let ended = state(&table, &key) == Some("sctp-closed");
        assert_eq!(ended, ends, "{flags:#x} {tag}");
    }
    let (table, key) = associated();
    assert_eq!(received(&table, &key, chunk(RST, 9, 0)), Ok(()));
    assert_eq!(received(&table, &key, chunk(0, 8, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-closed"));
    assert_eq!(received(&table, &key, chunk(0, 9, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-established"));
    assert!(sent(&table, &key, chunk(RST, 7, 0)));
    assert_eq!(state(&table, &key), Some("sctp-closed"));
}

/// Before the host has heard from the peer, it knows no tag that the peer could reflect but its own.
#[test]
fn an_association_that_is_refused_can_be_opened_again() {
    let key = Key::new(CONNECTION, HOST, VIM, SCTP, 5);
    let table = table(4);
    assert!(sent(&table, &key, chunk(SYN, 0, 9)));
    assert_eq!(
        received(&table, &key, chunk(RST | TAG_REFLECTED, 0, 0)),
        Ok(())
    );
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    assert_eq!(received(&table, &key, chunk(RST, 9, 0)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-closed"));
    assert!(sent(&table, &key, chunk(SYN, 0, 11)));
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    // Another INIT is another association, also before anyone has answered.
    assert!(sent(&table, &key, chunk(SYN, 0, 12)));
    assert_eq!(received(&table, &key, chunk(SYN | ACK, 11, 7)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-opening"));
    assert_eq!(received(&table, &key, chunk(SYN | ACK, 12, 7)), Ok(()));
    assert_eq!(state(&table, &key), Some("sctp-established"));
}

#[test]
fn what_ended_a_connection_does_not_reach_the_next() {
    type End = fn(&Table, &Key);
    for (protocol, opening, open) in [(TCP, "tcp-opening", "tcp-established")] {
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
    let flow = found(&table, &key).and_then(Slot::read).expect("a flow");
    assert_eq!(flow.sent.bytes(), 300, "one flow counts all of them");
}
