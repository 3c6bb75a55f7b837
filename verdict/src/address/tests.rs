use std::{collections::HashSet, format, vec::Vec};

use super::*;
use crate::{
    image::FIXED_LINES,
    tests::{
        sample::{self, Image},
        spread::{assert_spread, neighbours, seeds},
    },
};

const V6: Ipv6 = Ipv6 {
    high: 0x2001_0db8_ffff_ffff,
    low: 0xffff_ffff_ffff_ffff,
};

fn bits(address: Ipv6) -> u128 {
    u128::from(address.high) << 64 | u128::from(address.low)
}

#[test]
fn masks_leave_the_prefix() {
    for length in 0..=32_u8 {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        assert_eq!(Ipv4(u32::MAX).masked(length), Ipv4(mask), "{length}");
    }
    for length in 0..=128_u8 {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        assert_eq!(bits(V6.masked(length)), bits(V6) & mask, "{length}");
    }
}

#[test]
fn groups_are_multicast_and_whatever_is_delivered_like_broadcast() {
    for (address, expected) in [
        (0xc000_0211, false),
        (0xdfff_ffff, false),
        (0xe000_0000, true),
        (0xef01_0203, true),
        (0xffff_ffff, true),
        (0x0000_0000, true),
        (0x0000_0001, false),
    ] {
        assert_eq!(Ipv4(address).is_group(), expected, "{address:#x}");
    }
    let v6 = |high| Ipv6 { high, low: 1 };
    assert!(v6(0xff02 << 48).is_group() && v6(0xffff << 48).is_group());
    assert!(!v6(0xfe80 << 48).is_group() && !v6(0x2001_0db8 << 32).is_group());
}

#[test]
fn all_loopback_addresses_are_known() {
    for (address, expected) in [
        (0x7eff_ffff, false),
        (0x7f00_0000, true),
        (0x7f00_0001, true),
        (0x7fff_ffff, true),
        (0x8000_0000, false),
    ] {
        assert_eq!(Ipv4(address).is_loopback(), expected, "{address:#x}");
    }
}

#[test]
fn direct_and_preferred_entries_are_in_range_and_spread() {
    let (mut direct, mut four, mut six) = (HashSet::new(), HashSet::new(), HashSet::new());
    for n in 0..100_000_u32 {
        let v4 = Ipv4(n.wrapping_mul(0x1_0003));
        let v6 = Ipv6 {
            high: u64::from(n) << 16,
            low: u64::from(n),
        };
        assert!(v4.direct_entry() < DIRECT_ENTRIES && v6.direct_entry() < DIRECT_ENTRIES);
        direct.insert((v4.direct_entry(), v6.direct_entry()));
        four.insert(Ipv4::preferred(v4.hash(32)));
        six.insert(Ipv6::preferred(v6.hash(128)));
    }
    assert!(direct.len() > 50_000);
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

fn every_entry_keeps_its_prefix<A: Family>(address: A) {
    for at in 0..A::PER_BUCKET {
        for length in [0, 1, A::BITS - 1, A::BITS] {
            for value in [1, MAX_VALUE] {
                let mut bucket = Line::default();
                let masked = address.masked(length);
                masked.place(length, value, &mut bucket, at);
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
        Ipv6 { low, ..V6 }.place(128, MAX_VALUE - at as u32, &mut bucket, at);
    }
    Ipv6::displace(&mut bucket, 1);
    for at in 0..Ipv6::PER_BUCKET {
        let low = at as u64;
        let entry = Ipv6 { low, ..V6 }.read(128, &bucket, at);
        assert_eq!(entry.value(), Some(MAX_VALUE - at as u32));
        assert_eq!(entry.displaced(), at == 1);
    }
}

/// An image where `address` has its direct entry in `region`, as `words`.
fn directly<A: Family>(address: A, region: u32, words: &[u64]) -> Image {
    let mut image = Image(std::vec![Line::default(); FIXED_LINES as usize]);
    for (at, &word) in (0..).zip(words) {
        let at = region * 8 + address.direct_entry() * words.len() as u32 + at;
        image.0[at as usize / 8][at as usize % 8] = word;
    }
    image
}

/// What the direct entries tell of `address`, of an empty one, and of one that shares its entry.
fn told<A: Family>(image: &Image, address: A, others: impl Iterator<Item = A> + Clone) {
    let entry = address.direct_entry();
    assert_eq!(address.direct(image), Ok(Some(PROTECTED_UNICAST as u8)));
    let elsewhere = others.clone().find(|other| other.direct_entry() != entry);
    let elsewhere = elsewhere.expect("an address with another entry");
    assert_eq!(elsewhere.direct(image), Ok(Some(0)));
    let mut beside = others.filter(|&other| other != address && other.direct_entry() == entry);
    for _ in 0..10 {
        let beside = beside.next().expect("an address with the same entry");
        assert_eq!(beside.direct(image), Ok(None));
    }
}

#[test]
fn a_direct_entry_tells_of_its_address_of_none_or_of_nothing() {
    let address = Ipv4(0xc000_0211);
    let word = u64::from(address.0) << 32 | u64::from(PROTECTED_UNICAST);
    let image = directly(address, DIRECT_IPV4, &[word]);
    told(
        &image,
        address,
        (0..100_000).map(|low| Ipv4(0xc000_0000 + low)),
    );

    let Ipv6 { high, low } = V6;
    let image = directly(V6, DIRECT_IPV6, &[high, low]);
    let numbers = 0..100_000;
    told(
        &image,
        V6,
        numbers.clone().map(|number| Ipv6 {
            high,
            low: low - number,
        }),
    );
    told(
        &image,
        V6,
        numbers.map(|number| Ipv6 {
            high: high - number,
            low,
        }),
    );
    // An address of which one half is zeros is no empty entry.
    for (high, low) in [(0, 1), (1, 0)] {
        let image = directly(Ipv6 { high, low }, DIRECT_IPV6, &[high, low]);
        let entry = Ipv6 { high, low }.direct_entry();
        let mut others = numbers_of(entry);
        let other = others.next().expect("an address with the same entry");
        assert_eq!(other.direct(&image), Ok(None));
    }
}

/// IPv6 addresses that have this direct entry.
fn numbers_of(entry: u32) -> impl Iterator<Item = Ipv6> {
    let all = (2..).map(|low| Ipv6 { high: 7, low });
    all.filter(move |address| address.direct_entry() == entry)
}

#[test]
fn only_the_unspecified_address_is_it() {
    assert!(Ipv4(0).is_unspecified() && Ipv6 { high: 0, low: 0 }.is_unspecified());
    for bit in 0..64 {
        let one = 1 << bit;
        assert!(bit >= 32 || !Ipv4(one as u32).is_unspecified());
        assert!(!Ipv6 { high: one, low: 0 }.is_unspecified());
        assert!(!Ipv6 { high: 0, low: one }.is_unspecified());
    }
}

#[test]
fn mixing_spreads_every_bit() {
    for flipped in 0..64 {
        let changed = (1..301_u32).map(|sample| {
            let product = u64::from(sample).wrapping_mul(MIX[0]).rotate_left(17);
            finish(product) ^ finish(product ^ 1 << flipped)
        });
        assert_spread(changed, &format!("bit {flipped}"));
    }
}

#[test]
fn addresses_of_one_link_are_known() {
    for (address, expected) in [
        (0xa9fd_ffff, false),
        (0xa9fe_0000, true),
        (0xa9fe_ffff, true),
        (0xa9ff_0000, false),
    ] {
        assert_eq!(Ipv4(address).is_link_local(), expected, "{address:#x}");
    }
    for (prefix, expected) in [
        (0xfe7f_ffff_u64, false),
        (0xfe80_0000, true),
        (0xfebf_ffff, true),
        (0xfec0_0000, false),
    ] {
        let high = prefix << 32;
        assert_eq!(
            Ipv6 { high, low: 1 }.is_link_local(),
            expected,
            "{prefix:#x}"
        );
    }
}

/// The hashes of pairs of prefixes differ in half of their bits.
fn told_apart<A: Family>(pairs: &[[(A, u8); 2]], what: &str) {
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
fn halves_of_a_direct_entry_do_not_make_up_for_each_other() {
    let Ipv6 { high, low } = V6;
    let image = directly(V6, DIRECT_IPV6, &[high, low]);
    let both = (1..).map(|flip| Ipv6 {
        high: high ^ flip,
        low: low ^ flip,
    });
    let mut beside = both.filter(|other| other.direct_entry() == V6.direct_entry());
    let other = beside.next().expect("an address with the same entry");
    assert_eq!(other.direct(&image), Ok(None));

    let twin = Ipv6 { high: 5, low: 5 };
    let image = directly(twin, DIRECT_IPV6, &[5, 5]);
    let other = numbers_of(twin.direct_entry()).next();
    let other = other.expect("an address with the same entry");
    assert_eq!(other.direct(&image), Ok(None));
}

#[test]
fn what_is_protected_is_looked_up_among_all() {
    let image = sample::image(false);
    assert_eq!(sample::HOST.protected(&image), Ok(PROTECTED_UNICAST));
    assert_eq!(sample::STRANGER.protected(&image), Ok(0));
    assert_eq!(sample::HOST6.protected(&image), Ok(PROTECTED_UNICAST));
    assert_eq!(sample::VIM6.protected(&image), Ok(0));
    assert!(!V6.is_loopback());
}

#[test]
fn an_entry_is_that_of_its_prefix_alone() {
    let mut bucket = Line::default();
    V6.place(128, 3, &mut bucket, 1);
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
