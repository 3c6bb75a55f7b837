use std::{vec, vec::Vec};

use super::super::{
    Half, New, Slot, Tag,
    key::{CONNECTION, FRAGMENTS_IN, Key},
    table::{Flows as _, at_home, free, open, search},
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
    let new = New {
        ruled: true,
        ..New::default()
    };
    for id in 0..WAYS {
        assert!(open(&table, &fragments(id), table.now, &new));
    }
    for port in 0..WAYS as u16 {
        assert!(sent(&table, &key(port), segment(SYN, 1, 0)));
    }
    assert!(!open(&table, &fragments(99), table.now, &new));
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
            .and_then(Slot::read)
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

/// A connection that a rule permits, or none, and that was answered, or not.
fn connection(ruled: bool, answered: bool) -> New {
    New {
        received: Half(if answered { Half::SEEN } else { 0 }),
        ruled,
        ..New::default()
    }
}

/// Puts a flow into the place `index`.
fn put(table: &Table, index: u32, key: &Key, new: &New) {
    let slot = table.slot(index).expect("a place");
    slot.put(key, key.hash(table.seed()), table.now, new);
}

#[test]
fn every_place_of_a_flow_is_looked_at() {
    let mine = key(1);
    for step in 0..2 * WAYS {
        let table = table(64);
        let hash = mine.hash(table.seed());
        let at = |step| sets::index(hash, table.mask(), step);
        let place = at(step);
        // All others hold answered connections, which are not given up.
        for (other, port) in (0..2 * WAYS).zip(1000..) {
            if other != step {
                put(&table, at(other), &key(port), &connection(true, true));
            }
        }
        assert_eq!(search(&table, &mine), NOWHERE);
        assert_eq!(free(&table, &table.tables, hash), place, "{step}");
        assert!(open(&table, &mine, table.now, &connection(true, false)));
        assert_eq!(search(&table, &mine), place, "{step}");
        // The only one that still waits makes room, wherever it lies.
        let other = neighbour(&table, hash);
        assert_eq!(free(&table, &table.tables, hash), NOWHERE);
        assert!(open(&table, &other, table.now, &connection(true, false)));
        assert_eq!(search(&table, &other), place, "{step}");
    }
}

/// Another key whose places are those of a key with this `hash`.
fn neighbour(table: &Table, hash: u64) -> Key {
    let places = |hash| [0, WAYS].map(|step| sets::index(hash, table.mask(), step) / WAYS);
    (1..u32::MAX)
        .map(|remote| Key::new(CONNECTION, HOST, Ipv4(remote), TCP, 443))
        .find(|key| places(key.hash(table.seed())) == places(hash))
        .expect("some key")
}

#[test]
fn an_answered_flow_is_given_up_after_its_time_and_not_before() {
    let mut table = table(1);
    for (index, port) in (0..WAYS).zip(1000..) {
        put(&table, index, &key(port), &connection(true, true));
    }
    let open = |table: &Table| open(table, &key(1), table.now, &connection(true, false));
    table.now += LASTS;
    assert!(!open(&table));
    table.now += 1;
    assert!(open(&table));
}

/// Full sets, in which `there` makes room for `new`, or not.
fn makes_room(there: &[(Key, New)], new: (Key, New)) -> Option<Key> {
    let mut table = table(1);
    for (index, (key, new)) in (0..WAYS).zip(there.iter().cycle()) {
        let key = key_in(*key, index);
        put(&table, index, &key, new);
        table.now += 1;
    }
    let before: Vec<Key> = table.flows().map(|flow| flow.key).collect();
    let opened = open(&table, &new.0, table.now, &new.1);
    let after: Vec<Key> = table.flows().map(|flow| flow.key).collect();
    assert_eq!(opened, after.contains(&new.0));
    before.into_iter().find(|key| !after.contains(key))
}

/// The same key with other ports.
fn key_in(key: Key, port: u32) -> Key {
    let mut words = key.to_words();
    words[4] = words[4] & !0xffff | u64::from(port);
    Key::from_words(words)
}

#[test]
fn what_a_rule_permits_loses_its_place_to_nothing_that_none_does() {
    let fragments = Key::new(FRAGMENTS_IN, HOST, VIM, UDP, 0);
    let of = |kind: Key, ruled, answered| (kind, connection(ruled, answered));
    // From the least worth to the most.
    let kinds = [
        of(fragments, false, false),
        of(key(1), false, false),
        of(key(1), false, true),
        of(fragments, true, false),
        of(key(1), true, false),
        of(key(1), true, true),
    ];
    // How many of these kinds make room for a new one of a kind.
    for (new, displaced) in [(0, 1), (1, 3), (2, 3), (3, 4), (4, 5), (5, 5)] {
        for (rank, there) in kinds.iter().enumerate() {
            let gone = makes_room(&[*there], (key_in(kinds[new].0, 99), kinds[new].1));
            assert_eq!(gone.is_some(), rank < displaced, "{rank} for {new}");
        }
    }
    // Of two kinds, what is worth less; of one kind, what has been silent longest.
    for (rank, there) in kinds[..4].iter().enumerate() {
        let mixed = [kinds[rank + 1], *there];
        let gone = makes_room(&mixed, (key_in(key(1), 99), connection(true, false)));
        assert_eq!(gone, Some(key_in(there.0, 1)), "{rank}");
    }
}

/// A guest that fills the table with connections costs nobody else a place.
#[test]
fn whoever_has_crowded_a_set_makes_room_for_others() {
    let guest = |port: u32| Key::new(CONNECTION, Ipv4(0xcb00_710a), VIM, TCP, port << 16);
    let (mine, others) = (key(1), key(2));
    let crowd = (guest(1), connection(true, true));
    let new = connection(true, false);
    let there = |kept: (Key, New)| -> Vec<(Key, New)> {
        core::iter::once(kept).chain([crowd; 7]).collect()
    };
    let kept = there((others, connection(true, false)));
    // The guest's oldest goes, and not what another waits for.
    assert_eq!(makes_room(&kept, (mine, new)), Some(key_in(guest(1), 1)));
    // For itself the guest has but its own, and answered ones are not given up.
    assert_eq!(makes_room(&kept, (guest(9), new)), None);
    let waiting: Vec<_> = core::iter::once((others, connection(true, false)))
        .chain([(guest(1), connection(true, false)); 7])
        .collect();
    let gone = makes_room(&waiting, (guest(9), new));
    assert_eq!(gone, Some(key_in(guest(1), 1)));
    // What no rule permits makes room for anyone.
    let unruled = there((others, connection(false, true)));
    let gone = makes_room(&unruled, (guest(9), new));
    assert_eq!(gone, Some(key_in(others, 0)));
    // Half of the places are no crowd.
    let half: Vec<_> = [(others, connection(true, true)), crowd].to_vec();
    assert_eq!(makes_room(&half, (mine, new)), None);
}

#[test]
fn who_is_told_that_the_table_is_full_need_not_write() {
    let mut table = table(1);
    for (index, port) in (0..WAYS).zip(1000..) {
        put(&table, index, &key(port), &connection(true, true));
    }
    table.writable = false;
    assert!(!open(&table, &key(1), table.now, &connection(true, false)));
}

#[test]
fn a_tag_tells_whose_the_place_is() {
    let tag = |key: &Key| Tag::new(key, key.hash(1), true);
    let owners: std::collections::BTreeSet<u64> = (0..1000)
        .map(|at| tag(&Key::new(CONNECTION, Ipv4(at), VIM, TCP, 1)).owner())
        .collect();
    assert_eq!(owners.len(), 128);
    assert_eq!(tag(&key(1)).owner(), tag(&key(2)).owner());
}

#[test]
fn the_largest_table_of_flows_has_288_mebibytes() {
    let bytes = crate::layout::MAX_FLOW_SETS as usize * size_of::<super::super::Set>();
    assert_eq!(bytes, 288 << 20);
}
