use std::{vec, vec::Vec};

use super::*;
use crate::{
    frame::address::{Ipv4, Ipv6},
    tests::sample::Image,
};

/// Two buckets behind `base` other lines.
const REGION: Region = Region { base: 3, mask: 1 };

fn empty() -> Image {
    Image(vec![Line::default(); 5])
}

fn lookup<A: Bucketed>(image: &Image, address: A, length: u8) -> u32 {
    find(image, REGION, address, length).expect("all lines")
}

/// Addresses whose two choices are these buckets.
fn choosing<A: Bucketed>(
    make: impl Fn(u64) -> A,
    first: u32,
    second: u32,
) -> impl Iterator<Item = A> {
    (1..).map(make).filter(move |address| {
        let hash = address.hash(A::BITS);
        REGION.first(hash) == first && REGION.second(hash) == second
    })
}

fn fills_both_buckets<A: Bucketed + core::fmt::Debug>(make: impl Fn(u64) -> A + Copy) {
    let mut image = empty();
    let addresses: Vec<A> = choosing(make, 0, 1).take(2 * A::PER_BUCKET + 1).collect();
    let (placed, other) = addresses.split_at(2 * A::PER_BUCKET);
    for (index, &address) in placed.iter().enumerate() {
        let (bucket, at) = (index / A::PER_BUCKET, index % A::PER_BUCKET);
        address.put(A::BITS, index as u32 + 1, &mut image.0[3 + bucket], at);
        let preferred = A::preferred(address.hash(A::BITS));
        if (bucket, at) != (0, preferred) {
            A::displace(&mut image.0[3], preferred);
        }
    }
    for (index, &address) in placed.iter().enumerate() {
        assert_eq!(lookup(&image, address, A::BITS), index as u32 + 1);
        assert_eq!(lookup(&image, address, A::BITS - 1), 0, "another length");
    }
    assert_eq!(
        lookup(&image, other[0], A::BITS),
        0,
        "{other:?} is not there"
    );
}

#[test]
fn two_full_buckets_are_found() {
    fills_both_buckets(|n| Ipv4(n as u32));
    fills_both_buckets(|n| Ipv6 {
        high: n << 32,
        low: !n,
    });
}

#[test]
fn an_unmarked_entry_ends_the_lookup() {
    let mut image = empty();
    let address = choosing(|n| Ipv4(n as u32), 0, 1).next().expect("one");
    let preferred = Ipv4::preferred(address.hash(32));
    address.put(32, 7, &mut image.0[4], 0);
    assert_eq!(lookup(&image, address, 32), 0);
    Ipv4::displace(&mut image.0[3], preferred);
    assert_eq!(lookup(&image, address, 32), 7);
}

#[test]
fn an_empty_region_holds_nothing_of_any_length() {
    let image = empty();
    for length in 0..=32 {
        assert_eq!(lookup(&image, Ipv4(0), length), 0);
    }
    for length in 0..=128 {
        assert_eq!(lookup(&image, Ipv6 { high: 0, low: 0 }, length), 0);
    }
}

#[test]
fn the_default_route_is_a_prefix_like_others() {
    let mut image = empty();
    let hash = Ipv4(0).hash(0);
    let bucket = (3 + REGION.first(hash)) as usize;
    Ipv4(0).put(0, 9, &mut image.0[bucket], Ipv4::preferred(hash));
    assert_eq!(lookup(&image, Ipv4(0), 0), 9);
    assert_eq!(lookup(&image, Ipv4(0), 32), 0);
}

#[test]
fn a_prefix_sets_two_bits_of_a_summary() {
    for (first, second) in [(0, 63), (5, 9), (63, 0), (7, 7)] {
        let bits = 1 << first | 1 << second;
        assert_eq!(summary_bits(first << 24 | second << 30), bits);
        assert_eq!(
            summary_bits(first << 24 | second << 30 | 0xfff0_0000_00ff_ffff),
            bits
        );
    }
}

#[test]
fn a_summary_rules_out_what_it_does_not_have() {
    let region = Region {
        base: 3,
        mask: Region::SUMMARIZED - 1,
    };
    let smaller = Region {
        mask: region.mask >> 1,
        ..region
    };
    assert!(region.is_summarized() && !smaller.is_summarized());
    for address in (0..100).map(Ipv4) {
        let mut image = Image(vec![Line::default(); 3 + 4096 + 256]);
        let hash = address.hash(32);
        let bucket = region.first(hash) as usize;
        let word = bucket / 2;
        address.put(32, 7, &mut image.0[3 + bucket], Ipv4::preferred(hash));
        assert_eq!(find(&image, region, address, 32), Ok(7));
        assert_eq!(find_summarized(&image, region, address, 32), Ok(0));
        for bit in 0..64 {
            // All bits of the word that two buckets share, but for one; of those beside it, none.
            image.0[3 + 4096 + word / 8][word % 8] = !(1 << bit);
            let has = summary_bits(hash) & 1 << bit == 0;
            let expected = if has { 7 } else { 0 };
            assert_eq!(find_summarized(&image, region, address, 32), Ok(expected));
        }
    }
    let image = Image(vec![Line::default(); 3 + 4096]);
    assert_eq!(find_summarized(&image, region, Ipv4(1), 32), Err(Missing));
    assert_eq!(find_summarized(&image, smaller, Ipv4(1), 32), Ok(0));
}

#[test]
fn a_line_that_is_missing_is_no_answer() {
    let image = Image(Vec::new());
    let beyond = Region {
        base: u32::MAX,
        mask: u32::MAX,
    };
    assert_eq!(find(&image, REGION, Ipv4(1), 32), Err(Missing));
    assert_eq!(find(&image, beyond, Ipv4(1), 32), Err(Missing));
}

#[test]
fn a_region_is_one_word() {
    for region in [
        REGION,
        Region {
            base: u32::MAX,
            mask: 0xf_ffff,
        },
    ] {
        assert_eq!(Region::from_word(region.to_word()), region);
    }
}

#[test]
fn the_choices_are_different_bits_of_the_hash() {
    let all = Region {
        base: 0,
        mask: Region::MAX_BUCKETS - 1,
    };
    assert_eq!(Region::MAX_BUCKETS, 0x10_0000);
    let hash = 0xabcde_12345_67890;
    assert_eq!((all.first(hash), all.second(hash)), (0xabcde, 0x12345));
    assert_eq!((REGION.first(hash), REGION.second(hash)), (0, 1));
}
