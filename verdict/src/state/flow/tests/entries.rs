use std::{format, vec::Vec};

use super::super::{
    Half, New, Set, Slot, State,
    entry::SET_WORDS,
    key::{CONNECTION, FRAGMENTS_IN, FRAGMENTS_OUT, Key},
    table::timeout,
};
use crate::{
    frame::address::Ipv6,
    image::fixed::TIMEOUTS,
    state::clock::{TICK_SHIFT, tick, tick_of_jiffies, ticks, ticks_per_jiffy},
    tests::{
        sample::{HOST, HOST6, VIM, VIM6, image},
        spread::{assert_spread, seeds},
    },
};

use super::{follow::opening, *};

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
    let half = Half::new(Half::SEEN, 0xfedc).after(1 << 43, 0, Half::FIN);
    assert_eq!((half.bytes(), half.mark()), (1 << 43, 0xfedc));
    assert!(half.has(Half::SEEN) && half.has(Half::FIN) && !half.has(Half::ENDED));
    let wrapped = half.after(1 << 43, Half::FIN, 0);
    assert_eq!((wrapped.bytes(), wrapped.mark()), (0, 0xfedc));
    assert!(wrapped.has(Half::SEEN) && !wrapped.has(Half::FIN));
    assert_eq!(half.marked(1).mark(), 1);
    assert_eq!(half.marked(1).bytes(), half.bytes());
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

/// A flow of which the sides have sent this, put into the first place.
fn put(set: &Set, key: &Key, now: u32, local: u64, remote: u64) {
    let new = New {
        sent: Half(local),
        received: Half(remote),
        ..New::default()
    };
    set.slot(0).put(key, key.hash(1), now, &new);
}

#[test]
fn a_packet_that_another_cpu_noted_later_is_no_wait() {
    let set = Set::default();
    let slot = set.slot(0);
    let now = u32::MAX - 5;
    put(&set, &key(1), now, 0, 0);
    let idle = |now| slot.tag().idle(now);
    assert_eq!((idle(now), idle(now - 1)), (0, 0));
    assert_eq!(idle(now.wrapping_add(10)), 10);
    let half = i32::MAX.cast_unsigned();
    assert_eq!(idle(now.wrapping_add(half)), half);
    assert_eq!(idle(now.wrapping_add(half + 1)), 0);
    slot.note(now.wrapping_add(10), slot.sent(), slot.received());
    assert_eq!(idle(now.wrapping_add(11)), 1);
    let flow = slot.read().expect("a flow");
    assert_eq!((flow.opened, flow.last), (now, 4));
}

#[test]
fn a_state_is_told_by_protocol_and_by_what_was_sent() {
    let state = |protocol, sent, received| {
        let key = Key::new(CONNECTION, HOST, VIM, protocol, 1);
        let set = Set::default();
        put(&set, &key, 1, sent, received);
        let flow = set.slot(0).read().expect("a flow");
        assert!(flow.is_connection());
        flow.state.name()
    };
    let (known, seen, fin, ended) = (Half::KNOWN, Half::SEEN, Half::FIN, Half::ENDED);
    for (protocol, sent, received, expected) in [
        (TCP, known, 0, "tcp-opening"),
        (TCP, known, seen, "tcp-established"),
        (TCP, known | fin, seen, "tcp-closing"),
        (TCP, known, seen | fin, "tcp-closing"),
        (TCP, known | fin, seen | ended, "tcp-closed"),
        (TCP, known | ended, fin, "tcp-closed"),
        (TCP, known | fin, seen | fin, "tcp-closing"),
        (TCP, known | ended, seen | ended, "tcp-closed"),
        (132, ended, ended, "sctp-closed"),
        (UDP, 0, 0, "udp-opening"),
        (UDP, fin | ended, seen, "udp-established"),
        (132, known, known, "sctp-opening"),
        (132, known | fin, seen, "sctp-established"),
        (132, ended, seen, "sctp-closed"),
        (132, known, ended, "sctp-closed"),
        (1, 0, 0, "echo"),
        (58, 0, seen, "echo"),
        (47, 0, 0, "other-opening"),
        (47, ended, seen, "other-established"),
    ] {
        assert_eq!(state(protocol, sent, received), expected, "{protocol}");
    }
    for (kind, expected) in [(FRAGMENTS_IN, "fragments"), (FRAGMENTS_OUT, "fragments")] {
        let key = Key::new(kind, HOST, VIM, TCP, 1);
        let set = Set::default();
        assert!(set.slot(0).tag().is_empty() && set.slot(0).read().is_none());
        put(&set, &key, 1, 0, 0);
        let flow = set.slot(0).read().expect("a flow");
        assert_eq!((flow.state.name(), flow.key), (expected, key));
        assert!(!flow.is_connection());
    }
}

#[test]
fn an_entry_is_that_of_its_key_alone() {
    let (mine, hash) = (key(1), 0x1234_5678_9abc_def0);
    let set = Set::default();
    let slot = set.slot(0);
    slot.put(&mine, hash, 1, &New::default());
    assert!(slot.is(&mine, hash) && !slot.is(&mine, !hash));
    assert!(slot.tag().may_be(hash) && !slot.tag().may_be(!hash));
    let words = mine.to_words();
    for word in 0..5 {
        // Above the key's own bits lie some of the hash.
        for bit in 0..if word == 4 { 48 } else { 64 } {
            let mut other = words;
            other[word] ^= 1 << bit;
            assert!(!slot.is(&Key::from_words(other), hash), "{word}: {bit}");
            // Equal differences do not make up for each other.
            for second in word + 1..4 {
                let mut both = other;
                both[second] ^= 1 << bit;
                assert!(!slot.is(&Key::from_words(both), hash), "{word}: {bit}");
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
fn a_flow_tells_its_ends_and_how_long_it_is_idle() {
    let table = opening();
    let flow = found(&table, &key(1)).and_then(Slot::read).expect("a flow");
    assert_eq!(flow.key.local(), [0, u64::from(HOST.0)]);
    assert_eq!(flow.key.remote(), [0, u64::from(VIM.0)]);
    assert_eq!((flow.key.local_port(), flow.key.remote_port()), (1, 5671));
    assert_eq!((flow.idle(table.now), flow.idle(table.now + 7)), (0, 7));
    let words: [u64; SET_WORDS] = core::array::from_fn(|at| ((at as u64) << 32) | (at as u64 + 1));
    let again = Set::from_words(&words);
    for way in 0..8 {
        let (slot, first) = (again.slot(way), u64::from(way) * 8);
        let word = |at| (first + at) << 32 | (first + at + 1);
        assert_eq!(
            (slot.sent(), slot.received()),
            (Half(word(6)), Half(word(7)))
        );
        assert_eq!(slot.local_number(), first as u32 + 6);
        assert_eq!(slot.remote_number(), first as u32 + 5);
        let tag = words[64 + way as usize];
        assert_eq!(slot.tag().0, tag);
    }
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
