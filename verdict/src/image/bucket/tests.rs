use std::{collections::HashSet, format, vec::Vec};

use super::*;
use crate::tests::spread::{assert_spread, neighbours, seeds};

const V6: Ipv6 = Ipv6 {
    high: 0x2001_0db8_ffff_ffff,
    low: 0xffff_ffff_ffff_ffff,
};

#[test]
fn preferred_entries_are_in_range_and_spread() {
    let (mut four, mut six) = (HashSet::new(), HashSet::new());
    for n in 0..100_000_u32 {
        let v4 = Ipv4(n.wrapping_mul(0x1_0003));
        let v6 = Ipv6 {
            high: u64::from(n) << 16,
            low: u64::from(n),
        };
        four.insert(Ipv4::preferred(v4.hash(32)));
        six.insert(Ipv6::preferred(v6.hash(128)));
    }
    assert_eq!(
        (four.len(), six.len()),
        (Ipv4::PER_BUCKET, Ipv6::PER_BUCKET)
    );
    assert!(four.into_iter().all(|at| at < Ipv4::PER_BUCKET));
    assert!(six.into_iter().all(|at| at < Ipv6::PER_BUCKET));
}

#[test]
fn an_extreme_hash_prefers_an_entry_that_exists() {
    for hash in [0, u64::MAX, 1 << 63] {
        assert!(Ipv4::preferred(hash) < Ipv4::PER_BUCKET);
        assert!(Ipv6::preferred(hash) < Ipv6::PER_BUCKET);
    }
}

fn every_entry_keeps_its_prefix<A: Bucketed>(address: A) {
    for at in 0..A::PER_BUCKET {
        for length in [0, 1, A::BITS - 1, A::BITS] {
            for value in [1, MAX_VALUE] {
                let mut bucket = Line::default();
                let masked = address.masked(length);
                masked.put(length, value, &mut bucket, at);
                let entry = masked.read(length, &bucket, at);
                assert_eq!((entry.value(), entry.displaced()), (Some(value), false));
                A::displace(&mut bucket, at);
                let entry = masked.read(length, &bucket, at);
                assert_eq!((entry.value(), entry.displaced()), (Some(value), true));
                let longer = (length + 1) % (A::BITS + 1);
                assert_eq!(masked.read(longer, &bucket, at).value(), None);
            }
        }
    }
}

#[test]
fn an_entry_holds_address_length_value_and_mark() {
    every_entry_keeps_its_prefix(Ipv4(0xffff_ffff));
    every_entry_keeps_its_prefix(Ipv4(0));
    every_entry_keeps_its_prefix(V6);
    every_entry_keeps_its_prefix(Ipv6 { high: 0, low: 0 });
}

#[test]
fn neighbours_in_a_bucket_do_not_touch() {
    let mut bucket = Line::default();
    for at in 0..Ipv6::PER_BUCKET {
        let low = at as u64;
        Ipv6 { low, ..V6 }.put(128, MAX_VALUE - at as u32, &mut bucket, at);
    }
    Ipv6::displace(&mut bucket, 1);
    for at in 0..Ipv6::PER_BUCKET {
        let low = at as u64;
        let entry = Ipv6 { low, ..V6 }.read(128, &bucket, at);
        assert_eq!(entry.value(), Some(MAX_VALUE - at as u32));
        assert_eq!(entry.displaced(), at == 1);
    }
}

/// The hashes of pairs of prefixes differ in half of their bits.
fn told_apart<A: Bucketed>(pairs: &[[(A, u8); 2]], what: &str) {
    let hash = |(address, length): (A, u8)| address.hash(length);
    let changed = pairs.iter().map(|&[one, other]| hash(one) ^ hash(other));
    assert_spread(changed, what);
}

#[test]
fn a_hash_depends_on_every_bit_of_the_address() {
    let v4: Vec<Ipv4> = seeds().map(|bits| Ipv4((bits >> 20) as u32)).collect();
    for bit in 0..32 {
        let flipped = |&one: &Ipv4| [(one, 32), (Ipv4(one.0 ^ 1 << bit), 32)];
        let pairs: Vec<_> = v4.iter().map(flipped).collect();
        told_apart(&pairs, &format!("bit {bit}"));
    }
    let v6 = |seed: u64| Ipv6 {
        high: V6.high ^ seed >> 32,
        low: seed.rotate_left(17),
    };
    for at in 0..128 {
        let pairs: Vec<_> = seeds()
            .map(v6)
            .map(|one| [(one, 128), (neighbours(one)[at], 128)])
            .collect();
        told_apart(&pairs, &format!("neighbour {at}"));
    }
}

#[test]
fn a_hash_depends_on_the_length() {
    for (one, other) in [(24, 25), (31, 32), (8, 16)] {
        let v4: Vec<_> = seeds()
            .map(|bits| Ipv4((bits >> 32) as u32).masked(8))
            .map(|address| [(address, one), (address, other)])
            .collect();
        told_apart(&v4, &format!("/{one}, /{other}"));
        let v6: Vec<_> = seeds()
            .map(|high| Ipv6 { high, low: 0 }.masked(8))
            .map(|address| [(address, one), (address, other)])
            .collect();
        told_apart(&v6, &format!("/{one}, /{other}"));
    }
}

#[test]
fn an_entry_is_that_of_its_prefix_alone() {
    let mut bucket = Line::default();
    V6.put(128, 3, &mut bucket, 1);
    let read = |high, low, length| Ipv6 { high, low }.read(length, &bucket, 1).value();
    let Ipv6 { high, low } = V6;
    assert_eq!(read(high, low, 128), Some(3));
    for bit in 0..64 {
        let flip = 1 << bit;
        assert_eq!(read(high ^ flip, low, 128), None);
        assert_eq!(read(high, low ^ flip, 128), None);
        // Nor do equal differences make up for each other.
        assert_eq!(read(high ^ flip, low ^ flip, 128), None);
        if bit < 7 {
            let length = (129 ^ 1 << bit) - 1;
            assert_eq!(read(high, low, length), None);
            assert_eq!(read(high ^ flip, low, length), None);
            assert_eq!(read(high, low ^ flip, length), None);
        }
    }
}
