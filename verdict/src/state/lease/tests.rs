use std::{format, vec::Vec};

use super::*;
use crate::{
    decision::fast,
    frame::ethernet,
    image::header::Modes,
    reason::Outcome,
    tests::{
        sample::{
            Bytes, HOST, HOST6, Image, MAC, NTP, PROVER, PROVER6, SSH, Table, ethernet, image,
            image_in, ipv4, ipv6, tcp,
        },
        spread::{assert_spread, neighbours, seeds},
    },
};

const IFINDEX: u32 = 7;
const ID: u32 = 4;

fn origin() -> Origin {
    Origin::new(ethernet::mac_word(MAC), 0, IFINDEX)
}

fn table(image: Image) -> Table {
    Table::new(1, image).enrolling()
}

fn frame_v4(mac: [u8; 6]) -> Vec<u8> {
    ethernet(mac, 0x0800, &ipv4(PROVER, HOST, 6, &tcp(SSH, 16)))
}

fn reason(table: &Table, bytes: &[u8], vlan: Option<u16>, ifindex: u32) -> Reason {
    let frame = Bytes {
        bytes,
        vlan,
        ifindex,
    };
    table.takes(&frame).reason()
}

#[test]
fn an_endpoint_is_admitted_only_with_a_lease() {
    let mut table = table(image(false));
    let v6 = ethernet(MAC, 0x86dd, &ipv6(PROVER6, HOST6, 6, &tcp(SSH, 2)));
    let v4 = frame_v4(MAC);
    assert_eq!(reason(&table, &v4, None, IFINDEX), Reason::NoLease);
    assert_eq!(reason(&table, &v6, None, IFINDEX), Reason::NoLease);
    table.give(PROVER, ID, origin(), 1001);
    assert_eq!(reason(&table, &v4, None, IFINDEX), Reason::Permitted);
    assert_eq!(reason(&table, &v6, None, IFINDEX), Reason::NoLease);
    table.give(PROVER6, ID, origin(), 1001);
    assert_eq!(reason(&table, &v6, None, IFINDEX), Reason::Permitted);
}

#[test]
fn a_lease_of_another_endpoint_is_none() {
    let mut table = table(image(false));
    table.give(PROVER, ID + 1, origin(), 1001);
    assert_eq!(
        reason(&table, &frame_v4(MAC), None, IFINDEX),
        Reason::NoLease
    );
}

#[test]
fn a_lease_holds_where_it_was_given() {
    let mut table = table(image(false));
    table.give(PROVER, ID, origin(), 1001);
    let frame = frame_v4(MAC);
    let [.., last] = MAC;
    let [a, b, c, d, e, _] = MAC;
    let other = frame_v4([a, b, c, d, e, last ^ 1]);
    assert_eq!(reason(&table, &other, None, IFINDEX), Reason::WrongMac);
    assert_eq!(reason(&table, &frame, Some(9), IFINDEX), Reason::WrongVlan);
    assert_eq!(
        reason(&table, &frame, None, IFINDEX + 1),
        Reason::WrongInterface
    );
}

#[test]
fn a_lease_ends_by_itself() {
    let mut table = table(image(false));
    table.give(PROVER, ID, origin(), 1001);
    table.clock = 1001;
    let frame = frame_v4(MAC);
    assert_eq!(reason(&table, &frame, None, IFINDEX), Reason::LeaseExpired);
    // It does not begin anew, however late it gets.
    for bit in 10..48 {
        table.clock = 1001 + (1 << bit);
        assert_eq!(reason(&table, &frame, None, IFINDEX), Reason::LeaseExpired);
    }
}

#[test]
fn a_lease_may_end_as_late_as_the_clock_goes() {
    let mut table = table(image(false));
    let last = (1 << 48) - 1;
    table.give(PROVER, ENDPOINTS - 1, origin(), last);
    let lease = table.lease(own_index::<Ipv4>(ENDPOINTS - 1));
    let lease = lease.expect("a place");
    assert_eq!((lease.endpoint(), lease.until()), (ENDPOINTS - 1, last));
    assert!(!lease.is_over(last - 1));
    assert!(lease.is_over(last));
}

#[test]
fn answers_take_a_lease_too() {
    let mut table = table(image_in(Modes::UNRULED_FLOWS));
    let mut segment = tcp(40_000, 0x12);
    segment[..2].copy_from_slice(&NTP.to_be_bytes());
    let frame = ethernet(MAC, 0x0800, &ipv4(PROVER, HOST, 6, &segment));
    assert_eq!(reason(&table, &frame, None, IFINDEX), Reason::NoLease);
    table.give(PROVER, ID, origin(), 1001);
    assert_eq!(reason(&table, &frame, None, IFINDEX), Reason::NoFlow);
}

#[test]
fn one_endpoint_holds_leases_at_several_addresses() {
    let mut table = table(image(false));
    let address = |number: u32| Ipv4(0x0a00_0000 + number);
    let count = SHARED / 4;
    for number in 0..count {
        table.give(address(number), ID, origin(), 1001);
    }
    let own = table.lease(own_index::<Ipv4>(ID));
    assert!(own.is_some_and(|lease| lease.is(ID, address(0))));
    for number in 1..count {
        let lease = table.lease(search(&table, address(number)));
        assert_eq!(lease.map(Lease::endpoint), Some(ID));
    }
    assert_eq!(search(&table, address(count)), NOWHERE);
    table.give(PROVER, ID, origin(), 1001);
    assert_eq!(
        reason(&table, &frame_v4(MAC), None, IFINDEX),
        Reason::Permitted
    );
}

#[test]
fn places_of_endpoints_are_their_own() {
    let mut places = std::collections::BTreeSet::new();
    for id in 0..ENDPOINTS {
        assert!(places.insert(own_index::<Ipv4>(id)));
        assert!(places.insert(own_index::<Ipv6>(id)));
    }
    let shared = shared_index(0, 0);
    assert!(places.iter().all(|&own| own < shared && own < ENTRIES));
    let last = (0..2 * WAYS).map(|step| shared_index(u64::MAX, step)).max();
    assert!(last.is_some_and(|last| last < ENTRIES));
}

#[test]
fn a_lease_holds_on_every_port_of_its_link() {
    let mut table = table(image(false));
    let ports: Vec<u32> = (20..20 + PORTS as u32).collect();
    table.give_on(&ports, PROVER, ID, origin(), 1001);
    let frame = frame_v4(MAC);
    let on = |ifindex| reason(&table, &frame, None, ifindex);
    assert_eq!(on(IFINDEX), Reason::Permitted);
    for port in &ports[..PORTS - 1] {
        assert_eq!(on(*port), Reason::Permitted);
    }
    // One more than a lease has room for.
    assert_eq!(on(ports[PORTS - 1]), Reason::WrongInterface);
    let other = frame_v4([MAC[0], MAC[1], MAC[2], MAC[3], MAC[4], MAC[5] ^ 1]);
    assert_eq!(reason(&table, &other, None, 20), Reason::WrongMac);
}

#[test]
fn an_origin_is_read_from_the_frame() {
    let bytes = frame_v4(MAC);
    let frame = Bytes {
        bytes: &bytes,
        vlan: Some(12),
        ifindex: 3,
    };
    let parsed = ethernet::parse(&frame).expect("a frame");
    let origin = Origin::of(&frame, &parsed);
    assert_eq!(
        origin,
        Origin::new(ethernet::mac_word(MAC), parsed.tags.0, 3)
    );
    assert_eq!(
        (origin.ifindex(), origin.tags()),
        (frame.ifindex(), parsed.tags)
    );
}

#[test]
fn a_place_tells_what_it_was_given() {
    let ports = [8, 9, 10];
    let until = 77;
    let v4 = Lease::from_words(Lease::words(PROVER, ID, origin(), &ports, until));
    assert_eq!(v4.address(), (PROVER.to_words(), false));
    let v6 = Lease::from_words(Lease::words(PROVER6, ID, origin(), &ports, until));
    assert_eq!(v6.address(), (PROVER6.to_words(), true));
    for lease in [&v4, &v6] {
        assert_eq!((lease.endpoint(), lease.until()), (ID, until));
        assert_eq!(lease.origin(), origin());
        assert!(!lease.is_empty());
    }
    // The same words are those of another address in the other family.
    let low = |low| Ipv6 { high: 0, low };
    assert!(v4.is_at(PROVER) && !v4.is_at(low(u64::from(PROVER.0))));
    assert!(!v4.is_at(low(u64::from(PROVER.0) | IPV6)));
    let small = Lease::from_words(Lease::words(low(7), ID, origin(), &[], until));
    assert!(small.is_at(low(7)) && !small.is_at(Ipv4(7)));
    assert!(!v6.is_at(Ipv6 {
        high: PROVER6.high ^ 1,
        low: PROVER6.low ^ 1
    }));
    // A MAC address of zeros is one, too.
    let nameless = Lease::words(Ipv4(0), 0, Origin::new(0, 0, 0), &[], 0);
    assert!(!Lease::from_words(nameless).is_empty());
    assert!(Lease::default().is_empty());
}

/// Whether the endpoint holds a lease at `source`, by its own place, for a frame with this MAC
/// address and VLAN that came in on this interface.
fn held<A: Leased>(table: &Table, source: A, mac: u64, vlan: u16, ifindex: u32) -> bool {
    let mut address = [0; 6];
    address.copy_from_slice(&mac.to_be_bytes()[2..]);
    let frame = Bytes {
        bytes: &ethernet(address, 0x0800, &[]),
        vlan: (vlan != 0).then_some(vlan),
        ifindex,
    };
    let parsed = ethernet::parse(&frame).expect("a frame");
    holds(table, ID, source, &frame, &parsed)
}

/// Every difference counts, and none makes up for another.
fn holds_for_one_origin_alone<A: Leased>(source: A, other: impl Fn(u64) -> Vec<A>) {
    const SOME_VLAN: u16 = 9;
    let mac = ethernet::mac_word(MAC);
    let mut table = table(image(false));
    assert!(!held(&table, source, mac, 0, IFINDEX));
    table.give(source, ID, origin(), 1001);
    assert!(held(&table, source, mac, 0, IFINDEX));
    assert!(!held(&table, source, mac, SOME_VLAN, IFINDEX));
    assert!(!held(&table, source, mac, 0, IFINDEX + 1));
    assert!(!held(&table, source, mac, 0, 0));
    for bit in 0..48 {
        assert!(!held(&table, source, mac ^ 1 << bit, 0, IFINDEX));
    }
    for bit in 0..64 {
        for other in other(1 << bit) {
            assert!(!held(&table, other, mac, 0, IFINDEX), "{bit}");
            assert!(!held(
                &table,
                other,
                mac ^ (1 << bit & super::MAC),
                0,
                IFINDEX
            ));
        }
    }
    let tags = u64::from(ethernet::VlanTags::single(SOME_VLAN).0);
    for other in other(tags) {
        assert!(!held(&table, other, mac, SOME_VLAN, IFINDEX));
    }
    assert!(!held(&table, source, mac ^ tags, SOME_VLAN, IFINDEX));
    table.clock = 1001;
    assert!(!held(&table, source, mac, 0, IFINDEX));
    for other in other(1) {
        assert!(!held(&table, other, mac, 0, IFINDEX));
    }
    for (clock, holds) in [
        (1, true),
        (998, true),
        (999, true),
        (1000, true),
        (1001, false),
        (1002, false),
        (5000, false),
    ] {
        table.clock = clock;
        assert_eq!(held(&table, source, mac, 0, IFINDEX), holds, "{clock}");
    }
}

#[test]
fn an_own_entry_holds_for_one_origin_alone() {
    holds_for_one_origin_alone(PROVER, |flip| {
        let flipped = Ipv4(PROVER.0 ^ flip as u32);
        Vec::from_iter((flipped != PROVER).then_some(flipped))
    });
    let Ipv6 { high, low } = PROVER6;
    holds_for_one_origin_alone(PROVER6, |flip| {
        let halves = [
            (high ^ flip, low),
            (high, low ^ flip),
            (high ^ flip, low ^ flip),
        ];
        halves.map(|(high, low)| Ipv6 { high, low }).to_vec()
    });
}

#[test]
fn the_fast_path_knows_leases_in_their_own_entries() {
    let mut table = table(image(false));
    table.give(PROVER, ID, origin(), 1001);
    let bytes = frame_v4(MAC);
    let frame = Bytes {
        bytes: &bytes,
        vlan: None,
        ifindex: IFINDEX,
    };
    let decided = fast::inbound(&frame, &table.tables, &table);
    assert_eq!(decided.map(Outcome::reason), Ok(Reason::Permitted));
}

#[test]
fn a_lease_is_found_in_every_shared_entry() {
    let seed = table(image(false)).seed();
    for step in 0..2 * WAYS {
        let mut table = table(image(false));
        let at = shared_index(hash(PROVER6, seed), step);
        let words = Lease::words(PROVER6, ID, origin(), &[], 1001);
        table.storage.leases[at as usize] = Lease::from_words(words);
        assert_eq!(search(&table, PROVER6), at);
        assert_eq!(PROVER6.search_lease(&table), at);
        assert_eq!(PROVER.search_lease(&table), NOWHERE);
    }
}

#[test]
fn shared_entries_are_spread() {
    let mut places = std::collections::BTreeSet::new();
    for number in 0..1000_u32 {
        let addresses = [
            hash(Ipv4(0x0a00_0000 + number), 1),
            hash(
                Ipv6 {
                    high: u64::from(number) << 16,
                    low: 1,
                },
                1,
            ),
            hash(
                Ipv6 {
                    high: 1 << 61,
                    low: number.into(),
                },
                1,
            ),
        ];
        for hash in addresses {
            let place = shared_index(hash, 0);
            assert!((OWN..ENTRIES).contains(&place));
            places.insert(place);
        }
    }
    // Of 4096 places, 3000 draws hit 2127 different ones on average.
    assert!(places.len() > 2000, "{}", places.len());
    let seeds: std::collections::BTreeSet<u64> = (0..100).map(|seed| hash(PROVER6, seed)).collect();
    assert_eq!(seeds.len(), 100);
}

#[test]
fn a_lease_of_another_endpoint_is_none_among_the_shared_ones() {
    let mut table = table(image(false));
    let shared = shared_index(hash(PROVER, table.seed()), 0) as usize;
    for (id, expected) in [(ID + 1, Reason::NoLease), (ID, Reason::Permitted)] {
        let words = Lease::words(PROVER, id, origin(), &[], 1001);
        table.storage.leases[shared] = Lease::from_words(words);
        assert_eq!(reason(&table, &frame_v4(MAC), None, IFINDEX), expected);
    }
}

#[test]
fn the_hash_depends_on_all_of_the_address() {
    for other in neighbours(PROVER6) {
        let changed = seeds().map(|seed| hash(PROVER6, seed) ^ hash(other, seed));
        assert_spread(changed, &format!("{other:?}"));
    }
}
