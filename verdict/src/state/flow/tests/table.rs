use std::{vec, vec::Vec};

use super::super::{
    entry::{Entry, Half},
    key::{CONNECTION, FRAGMENTS_IN, Key},
    table::{Flows as _, at_home, choose, open, search},
};
use crate::{
    frame::{
        address::Ipv4,
        transport::{ACK, SYN},
    },
    state::{
        lease::Leases as _,
        sets::{self, NOWHERE, WAYS},
    },
    tests::sample::{HOST, LASTS, Table, VIM},
};

use super::*;

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
