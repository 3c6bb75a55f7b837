use std::collections::HashSet;

use super::*;
use crate::{
    image::{fixed::FIXED_LINES, line::Line, lookup::Listed},
    tests::sample::{self, Image},
};

const V6: Ipv6 = Ipv6 {
    high: 0x2001_0db8_ffff_ffff,
    low: 0xffff_ffff_ffff_ffff,
};

#[test]
fn direct_entries_are_in_range_and_spread() {
    let mut seen = HashSet::new();
    for n in 0..100_000_u32 {
        let v4 = Ipv4(n.wrapping_mul(0x1_0003)).direct_entry();
        let v6 = Ipv6 {
            high: u64::from(n) << 16,
            low: u64::from(n),
        };
        let v6 = v6.direct_entry();
        assert!(v4 < DIRECT_ENTRIES && v6 < DIRECT_ENTRIES);
        seen.insert((v4, v6));
    }
    assert!(seen.len() > 50_000);
}

/// An image where `address` has its direct entry in `region`, as `words`.
fn directly<A: Direct>(address: A, region: u32, words: &[u64]) -> Image {
    let mut image = Image(std::vec![Line::default(); FIXED_LINES as usize]);
    for (at, &word) in (0..).zip(words) {
        let at = region * 8 + address.direct_entry() * words.len() as u32 + at;
        image.0[at as usize / 8][at as usize % 8] = word;
    }
    image
}

/// What the direct entries tell of `address`, of an empty one, and of one that shares its entry.
fn told<A: Direct>(image: &Image, address: A, others: impl Iterator<Item = A> + Clone) {
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
}
