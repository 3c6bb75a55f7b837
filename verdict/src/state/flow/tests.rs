use std::{format, vec, vec::Vec};

use super::{
    State,
    entry::{Entry, Half},
    follow::{receive, send_or_open},
    key::{CONNECTION, ENROLMENT, FRAGMENTS_IN, FRAGMENTS_OUT, Key},
    table::{Flows as _, at_home, choose, find, open, search, timeout},
};
use crate::{
    frame::{
        address::{Ipv4, Ipv6},
        transport::{ACK, FIN, RST, SYN, Segment},
    },
    image::fixed::TIMEOUTS,
    reason::Reason,
    state::{
        clock::{TICK_SHIFT, tick, tick_of_jiffies, ticks, ticks_per_jiffy},
        lease::Leases as _,
        sets::{self, NOWHERE, WAYS},
    },
    tests::{
        sample::{HOST, HOST6, LASTS, Table, VIM, VIM6, image},
        spread::{assert_spread, seeds},
    },
};

const TCP: u8 = 6;
const UDP: u8 = 17;

fn table(sets: usize) -> Table {
    Table::new(sets, image(false))
}

fn key(port: u16) -> Key {
    Key::new(CONNECTION, HOST, VIM, TCP, u32::from(port) << 16 | 5671)
}

fn segment(flags: u8, sequence: u32, acknowledgement: u32) -> Segment {
    Segment {
        flags,
        sequence,
        acknowledgement,
    }
}

fn sent(table: &Table, key: &Key, segment: Segment) -> bool {
    send_or_open(table, &table.tables, key, segment, 100).expect("all lines")
}

fn found<'a>(table: &'a Table, key: &Key) -> Option<&'a Entry> {
    find(table, &table.tables, key, table.now).expect("all lines")
}

fn received(table: &Table, key: &Key, segment: Segment) -> Result<(), Reason> {
    let entry = found(table, key).ok_or(Reason::NoFlow)?;
    receive(table, entry, key.protocol(), segment, 60, table.now)
}

fn state(table: &Table, key: &Key) -> Option<&'static str> {
    Some(found(table, key)?.read()?.state.name())
}

#[test]
fn keys_tell_apart_what_differs_in_anything() {
    let ipv6 = |local, remote| Key::new(CONNECTION, local, remote, TCP, 1);
    let low = |low| Ipv6 { high: 0, low };
    let keys = [
        key(1),
        key(2),
        Key::new(CONNECTION, VIM, HOST, TCP, 1 << 16 | 5671),
        Key::new(CONNECTION, HOST, VIM, UDP, 1 << 16 | 5671),
        Key::new(FRAGMENTS_IN, HOST, VIM, TCP, 1 << 16 | 5671),
        ipv6(HOST6, VIM6),
        ipv6(VIM6, HOST6),
        ipv6(low(u64::from(HOST.0)), low(u64::from(VIM.0))),
        key(1).without_remote(),
        key(1).without_addresses(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(Key::from_words(key.to_words()), *key);
        for other in &keys[at + 1..] {
            assert!(key != other && key.hash(7) != other.hash(7));
        }
    }
    assert_eq!((key(1).kind(), key(1).protocol()), (CONNECTION, TCP));
    let other = key(40_000);
    assert_eq!((other.local_port(), other.remote_port()), (40_000, 5671));
}

#[test]
fn times_are_quarters_of_a_second() {
    assert_eq!(tick(1 << TICK_SHIFT), 1);
    for seconds in [1, 2, 60, 86_400] {
        let nanoseconds = u64::from(ticks(seconds)) << TICK_SHIFT;
        assert!(nanoseconds >= u64::from(seconds) * 1_000_000_000);
        assert!(nanoseconds <= u64::from(seconds + 1) * 1_000_000_000);
    }
    assert_eq!(ticks(u32::MAX), i32::MAX as u32);
}

#[test]
fn a_half_keeps_its_parts() {
    let half = Half::new(Half::SEEN, 0xfedc).after(1 << 43, Half::FIN);
    assert_eq!((half.bytes(), half.mark()), (1 << 43, 0xfedc));
    assert!(half.has(Half::SEEN) && half.has(Half::FIN) && !half.has(Half::ENDED));
    let wrapped = half.after(1 << 43, 0);
    assert_eq!((wrapped.bytes(), wrapped.mark()), (0, 0xfedc));
    assert_eq!(half.marked(1).mark(), 1);
    assert_eq!(half.marked(1).bytes(), half.bytes());
}

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
fn a_flow_ends_after_its_time() {
    let mut table = table(4);
    let key = key(1);
    sent(&table, &key, segment(SYN, 1, 0));
    table.now += LASTS;
    assert!(found(&table, &key).is_some());
    table.now += 1;
    assert!(found(&table, &key).is_none());
    sent(&table, &key, segment(SYN, 1, 0));
    assert_eq!(state(&table, &key), Some("tcp-opening"));
    // Another CPU's clock may be a tick ahead.
    table.now -= 1;
    assert!(found(&table, &key).is_some());
}

#[test]
fn a_full_table_keeps_what_was_answered() {
    let mut table = table(1);
    let keys: Vec<Key> = (0..2 * WAYS as u16).map(key).collect();
    for (at, key) in keys.iter().enumerate() {
        if at < WAYS as usize {
            sent(&table, key, segment(SYN, 1, 0));
            assert_eq!(received(&table, key, segment(SYN | ACK, 1, 2)), Ok(()));
        }
    }
    table.now += 1;
    let more = key(100);
    assert!(!sent(&table, &more, segment(SYN, 1, 0)), "no room");
    for key in &keys[..WAYS as usize] {
        assert_eq!(state(&table, key), Some("tcp-established"));
    }
    table.now += LASTS;
    assert!(sent(&table, &more, segment(SYN, 1, 0)), "all have ended");
}

#[test]
fn the_longest_waiting_makes_room() {
    let mut table = table(1);
    for port in 0..WAYS as u16 {
        sent(&table, &key(port), segment(SYN, 1, 0));
        table.now += 1;
    }
    assert!(sent(&table, &key(100), segment(SYN, 1, 0)));
    assert_eq!(search(&table, &key(0)), NOWHERE);
    for port in (1..WAYS as u16).chain([100]) {
        assert_ne!(search(&table, &key(port)), NOWHERE, "{port}");
    }
}

#[test]
fn fragments_displace_no_connection() {
    let table = table(1);
    let fragments = |id| Key::new(FRAGMENTS_IN, HOST, VIM, UDP, id);
    for id in 0..WAYS {
        assert!(open(&table, &fragments(id), table.now, Half(0), Half(0)));
    }
    for port in 0..WAYS as u16 {
        assert!(sent(&table, &key(port), segment(SYN, 1, 0)));
    }
    assert!(!open(&table, &fragments(99), table.now, Half(0), Half(0)));
    for port in 0..WAYS as u16 {
        assert_ne!(search(&table, &key(port)), NOWHERE);
    }
}

#[test]
fn a_quarter_full_table_holds_all() {
    let table = table(4096);
    let count = 4096 * WAYS / 4;
    let keys: Vec<Key> = (0..count)
        .map(|at| {
            Key::new(
                CONNECTION,
                HOST,
                Ipv4(0x0a00_0000 + at / 50),
                TCP,
                (at % 50) << 16 | 443,
            )
        })
        .collect();
    for key in &keys {
        assert!(sent(&table, key, segment(SYN, 1, 0)));
    }
    let mut homes = vec![0_u32; 16];
    for key in &keys {
        let index = search(&table, key);
        assert_ne!(index, NOWHERE);
        homes[(index % 16) as usize] += 1;
    }
    let (least, most) = (homes.iter().min(), homes.iter().max());
    assert!(
        most < least.map(|least| least * 5 / 4).as_ref(),
        "{homes:?}"
    );
}

#[test]
fn who_only_looks_changes_nothing() {
    let mut table = table(4);
    table.writable = false;
    assert!(sent(&table, &key(1), segment(SYN, 1, 0)));
    assert!(found(&table, &key(1)).is_none());
}

#[test]
fn ticks_are_told_by_any_clock() {
    assert_eq!(
        (tick(0), tick((3 << TICK_SHIFT) - 1), tick(3 << TICK_SHIFT)),
        (0, 2, 3)
    );
    for rate in [100, 250, 300, 1000] {
        let jiffy = 1_000_000_000 / rate;
        for seconds in [1, 60, 86_400, 1_000_000] {
            let by_jiffies = tick_of_jiffies(seconds * rate, ticks_per_jiffy(jiffy));
            let by_nanoseconds = tick(seconds * rate * jiffy);
            assert!(by_nanoseconds.abs_diff(by_jiffies) <= 1, "{rate} Hz");
        }
    }
    // The greatest number of seconds that is still told exactly, and one more.
    let last = (u64::from(i32::MAX.cast_unsigned()) << TICK_SHIFT) / 1_000_000_000;
    assert!(ticks(last as u32 - 1) < i32::MAX.cast_unsigned());
    assert_eq!(ticks(last as u32 + 1), i32::MAX.cast_unsigned());
}

#[test]
fn a_packet_that_another_cpu_noted_later_is_no_wait() {
    let entry = Entry::default();
    let key = key(1);
    let now = u32::MAX - 5;
    entry.put(&key, key.hash(1), now, Half(0), Half(0));
    assert_eq!((entry.idle(now), entry.idle(now - 1)), (0, 0));
    assert_eq!(entry.idle(now.wrapping_add(10)), 10);
    let half = i32::MAX.cast_unsigned();
    assert_eq!(entry.idle(now.wrapping_add(half)), half);
    assert_eq!(entry.idle(now.wrapping_add(half + 1)), 0);
    entry.touch(now.wrapping_add(10));
    assert_eq!(entry.idle(now.wrapping_add(11)), 1);
    let flow = entry.read().expect("a flow");
    assert_eq!((flow.opened, flow.last), (now, 4));
}

#[test]
fn a_state_is_told_by_protocol_and_by_what_was_sent() {
    let state = |protocol, sent, received| {
        let key = Key::new(CONNECTION, HOST, VIM, protocol, 1);
        let entry = Entry::default();
        entry.put(&key, key.hash(1), 1, Half(sent), Half(received));
        assert!(entry.is_connection() && !entry.is_empty());
        let flow = entry.read().expect("a flow");
        assert!(flow.is_connection());
        flow.state.name()
    };
    let (seen, fin, ended) = (Half::SEEN, Half::FIN, Half::ENDED);
    for (protocol, sent, received, expected) in [
        (TCP, seen, 0, "tcp-opening"),
        (TCP, seen, seen, "tcp-established"),
        (TCP, seen | fin, seen, "tcp-closing"),
        (TCP, seen, seen | fin, "tcp-closing"),
        (TCP, seen | fin, seen | ended, "tcp-closed"),
        (TCP, seen | ended, fin, "tcp-closed"),
        (TCP, seen | fin, seen | fin, "tcp-closing"),
        (TCP, seen | ended, seen | ended, "tcp-closed"),
        (132, ended, ended, "sctp-closed"),
        (UDP, seen, 0, "udp-opening"),
        (UDP, fin | ended, seen, "udp-established"),
        (132, seen, 0, "sctp-opening"),
        (132, seen | fin, seen, "sctp-established"),
        (132, ended, seen, "sctp-closed"),
        (132, seen, ended, "sctp-closed"),
        (1, seen, 0, "echo"),
        (58, seen, seen, "echo"),
        (47, seen, 0, "other-opening"),
        (47, ended, seen, "other-established"),
    ] {
        assert_eq!(state(protocol, sent, received), expected, "{protocol}");
    }
    for (kind, expected) in [
        (FRAGMENTS_IN, "fragments"),
        (FRAGMENTS_OUT, "fragments"),
        (ENROLMENT, "enrolment"),
    ] {
        let key = Key::new(kind, HOST, VIM, TCP, 1);
        let entry = Entry::default();
        assert!(entry.is_empty() && entry.read().is_none());
        entry.put(&key, key.hash(1), 1, Half(0), Half(0));
        let flow = entry.read().expect("a flow");
        assert_eq!((flow.state.name(), flow.key), (expected, key));
        assert!(!flow.is_connection() && !entry.is_connection());
    }
}

#[test]
fn an_entry_is_that_of_its_key_alone() {
    let (mine, hash) = (key(1), 0x1234_5678_9abc_def0);
    let entry = Entry::default();
    entry.put(&mine, hash, 1, Half(0), Half(0));
    assert!(entry.is(&mine, hash) && !entry.is(&mine, !hash));
    let words = mine.to_words();
    for word in 0..5 {
        // Above the key's own bits lie some of the hash.
        for bit in 0..if word == 4 { 48 } else { 64 } {
            let mut other = words;
            other[word] ^= 1 << bit;
            assert!(!entry.is(&Key::from_words(other), hash), "{word}: {bit}");
            // Equal differences do not make up for each other.
            for second in word + 1..4 {
                let mut both = other;
                both[second] ^= 1 << bit;
                assert!(!entry.is(&Key::from_words(both), hash), "{word}: {bit}");
            }
        }
    }
}

/// Any one bit in these words changes about half of the hash's upper bits.
fn depends_on(key: Key, bits: [core::ops::Range<u32>; 5]) {
    for (word, bits) in bits.into_iter().enumerate() {
        for bit in bits {
            let mut other = key.to_words();
            other[word] ^= 1 << bit;
            let other = Key::from_words(other);
            let changed = seeds().map(|seed| key.hash(seed) ^ other.hash(seed));
            assert_spread(changed, &format!("{word}, {bit}"));
        }
    }
}

#[test]
fn the_hash_of_a_key_depends_on_all_of_it() {
    depends_on(key(1), [0..0, 0..32, 0..0, 0..32, 0..47]);
    let ipv6 = Key::new(CONNECTION, HOST6, VIM6, UDP, 7);
    depends_on(ipv6, [0..64, 0..64, 0..64, 0..64, 0..47]);
    let seeds: std::collections::BTreeSet<u64> = (0..100).map(|seed| ipv6.hash(seed)).collect();
    assert_eq!(seeds.len(), 100);
    assert!(ipv6.is_ipv6() && !key(1).is_ipv6());
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
fn opening() -> Table {
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
    for flags in [
        0,
        FIN,
        0x20,
        SYN | FIN,
        SYN | RST,
        SYN | ACK | RST,
        SYN | ACK | FIN,
    ] {
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
fn a_flow_tells_its_ends_and_how_long_it_is_idle() {
    let table = opening();
    let flow = found(&table, &key(1))
        .and_then(Entry::read)
        .expect("a flow");
    assert_eq!(flow.key.local(), [0, u64::from(HOST.0)]);
    assert_eq!(flow.key.remote(), [0, u64::from(VIM.0)]);
    assert_eq!((flow.key.local_port(), flow.key.remote_port()), (1, 5671));
    assert_eq!((flow.idle(table.now), flow.idle(table.now + 7)), (0, 7));
    let again = Entry::from_words(core::array::from_fn(|at| at as u64 + 1));
    assert_eq!((again.sent(), again.received()), (Half(7), Half(8)));
}

#[test]
fn states_last_as_long_as_is_written() {
    let seconds: Vec<u32> = State::ALL
        .iter()
        .map(|state| state.default_seconds())
        .collect();
    let day = 86_400;
    assert_eq!(
        seconds,
        [
            60,
            5 * day,
            120,
            10,
            30,
            300,
            60,
            3600,
            10,
            30,
            60,
            600,
            30,
            60
        ]
    );
}

#[test]
fn every_state_has_a_time_of_its_own() {
    let mut image = image(false);
    for code in 0..State::SPACE {
        let word = &mut image.0[TIMEOUTS as usize][code / 2];
        *word &= !(0xffff_ffff << (32 * (code % 2)));
        *word |= (1000 + code as u64) << (32 * (code % 2));
    }
    for &state in State::ALL {
        let expected = 1000 + u32::from(state.code());
        assert_eq!(timeout(&image, state.code()), Ok(expected));
    }
}

#[test]
fn the_places_of_a_flow_are_two_whole_sets() {
    let mask = 0xff;
    let mut seconds = std::collections::BTreeSet::new();
    let mut distances = std::collections::BTreeSet::new();
    let mut homes = std::collections::BTreeSet::new();
    for number in 0..1000_u16 {
        let hash = key(number).hash(5);
        let places: Vec<u32> = (0..2 * WAYS)
            .map(|step| sets::index(hash, mask, step))
            .collect();
        let (first, second) = places.split_at(WAYS as usize);
        let set = |places: &[u32]| {
            let mut sorted = places.to_vec();
            sorted.sort_unstable();
            assert!(sorted[0].is_multiple_of(WAYS) && sorted[0] / WAYS <= mask);
            let whole: Vec<u32> = (sorted[0]..sorted[0] + WAYS).collect();
            assert_eq!(sorted, whole);
            sorted[0] / WAYS
        };
        let (first_set, second_set) = (set(first), set(second));
        seconds.insert(second_set);
        distances.insert(first_set.wrapping_sub(second_set) & mask);
        homes.insert(first[0] % WAYS);
    }
    // The second set does not follow from the first, and every place is somebody's first.
    assert!(seconds.len() > 200, "{}", seconds.len());
    assert!(distances.len() > 200, "{}", distances.len());
    assert_eq!(homes.len(), WAYS as usize);
}

#[test]
fn a_flow_lies_at_home_or_is_looked_for() {
    let table = table(1);
    let there = |key: &Key| {
        at_home(&table, key)
            .and_then(Entry::read)
            .map(|flow| flow.key)
    };
    let home = |key: &Key| sets::index(key.hash(table.seed()), table.mask(), 0);
    let mut keys = (1..).map(key).filter(|other| home(other) == home(&key(1)));
    let mut next = || keys.next().expect("a key with the same place");
    let (first, second, third) = (next(), next(), next());
    assert_eq!(there(&first), None);
    for key in [first, second] {
        assert!(sent(&table, &key, segment(SYN, 1, 0)));
    }
    assert_eq!((there(&first), there(&second)), (Some(first), Some(second)));
    assert_eq!(there(&third), None);
}

/// Puts a connection that was answered into this place.
fn answered(table: &Table, entry: &Entry, key: &Key) {
    let hash = key.hash(table.seed());
    entry.put(key, hash, table.now, Half(0), Half(Half::SEEN));
}

#[test]
fn every_place_of_a_flow_is_looked_at() {
    let mine = key(1);
    for step in 0..2 * WAYS {
        let table = table(64);
        let hash = mine.hash(table.seed());
        let at = |step| sets::index(hash, table.mask(), step);
        let free = at(step);
        // All others hold answered connections, which are not given up.
        for (other, port) in (0..2 * WAYS).zip(1000..) {
            let entry = &table.storage.entries[at(other) as usize];
            let key = key(port);
            if other != step {
                answered(&table, entry, &key);
            }
        }
        assert_eq!(search(&table, &mine), NOWHERE);
        assert_eq!(
            choose(&table, &table.tables, hash, CONNECTION),
            free,
            "{step}"
        );
        assert!(open(&table, &mine, table.now, Half(0), Half(0)));
        assert_eq!(search(&table, &mine), free, "{step}");
    }
}

#[test]
fn an_answered_flow_is_given_up_after_its_time_and_not_before() {
    let mut table = table(1);
    for (entry, port) in table.storage.entries.iter().zip(1000..) {
        let key = key(port);
        answered(&table, entry, &key);
    }
    let hash = key(1).hash(table.seed());
    table.now += LASTS;
    assert_eq!(choose(&table, &table.tables, hash, CONNECTION), NOWHERE);
    table.now += 1;
    assert_ne!(choose(&table, &table.tables, hash, CONNECTION), NOWHERE);
}

#[test]
fn the_largest_table_of_flows_has_256_mebibytes() {
    let bytes = crate::layout::MAX_FLOW_SETS * WAYS * size_of::<Entry>() as u32;
    assert_eq!(bytes, 256 << 20);
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
