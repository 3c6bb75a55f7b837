use std::{vec, vec::Vec};

use super::{
    entry::{Entry, Half, TICK_SHIFT, tick, tick_of_jiffies, ticks, ticks_per_jiffy},
    follow::{Segment, receive, send_or_open},
    key::{CONNECTION, ENROLMENT, FRAGMENTS_IN, FRAGMENTS_OUT, Key},
    table::{NOWHERE, WAYS, find, open, search},
};
use crate::{
    address::{Ipv4, Ipv6},
    reason::Reason,
    tests::sample::{HOST, HOST6, LASTS, Table, VIM, VIM6, image},
    transport::{ACK, FIN, RST, SYN},
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
    send_or_open(table, &table.image, key, segment, 100).expect("all lines")
}

fn found<'a>(table: &'a Table, key: &Key) -> Option<&'a Entry> {
    find(table, &table.image, key, table.now).expect("all lines")
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
        key(1).from_anywhere(),
        key(1).to_nobody(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(Key::from_words(key.to_words()), *key);
        for other in &keys[at + 1..] {
            assert!(key != other && key.hash(7) != other.hash(7));
        }
    }
    assert_eq!((key(1).kind(), key(1).protocol()), (CONNECTION, TCP));
    assert_eq!((key(1).local_port(), key(1).remote_port()), (1, 5671));
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
    entry.place(&key, key.hash(1), now, Half(0), Half(0));
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
        entry.place(&key, key.hash(1), 1, Half(sent), Half(received));
        assert!(entry.is_connection() && !entry.is_empty());
        entry.read().expect("a flow").state.name()
    };
    let (seen, fin, ended) = (Half::SEEN, Half::FIN, Half::ENDED);
    for (protocol, sent, received, expected) in [
        (TCP, seen, 0, "tcp-opening"),
        (TCP, seen, seen, "tcp-established"),
        (TCP, seen | fin, seen, "tcp-closing"),
        (TCP, seen, seen | fin, "tcp-closing"),
        (TCP, seen | fin, seen | ended, "tcp-closed"),
        (TCP, seen | ended, fin, "tcp-closed"),
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
        entry.place(&key, key.hash(1), 1, Half(0), Half(0));
        let flow = entry.read().expect("a flow");
        assert_eq!((flow.state.name(), flow.key), (expected, key));
        assert!(!flow.is_connection() && !entry.is_connection());
    }
}

#[test]
fn an_entry_is_that_of_its_key_alone() {
    let (mine, hash) = (key(1), 0x1234_5678_9abc_def0);
    let entry = Entry::default();
    entry.place(&mine, hash, 1, Half(0), Half(0));
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
    const SEEDS: u64 = 50;
    for (word, bits) in bits.into_iter().enumerate() {
        for bit in bits {
            let mut other = key.to_words();
            other[word] ^= 1 << bit;
            let other = Key::from_words(other);
            let changed: u32 = (0..SEEDS)
                .map(|seed| ((key.hash(seed) ^ other.hash(seed)) >> 24).count_ones())
                .sum();
            let share = f64::from(changed) / (40 * SEEDS) as f64;
            assert!((0.25..0.75).contains(&share), "{word}, {bit}: {share}");
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
