//! The longest prefix wins, however prefixes were expanded and placed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::{collection::vec, prelude::*, sample::select};
use verdict::{
    frame::address::{Family, Ipv4, Ipv6},
    image::fixed::MAX_LENGTHS,
};

use super::{
    super::{
        buckets::Entry,
        prefixes::{Countable, expand},
    },
    addresses::with_endpoints,
    compiled, endpoint_of,
};

/// A prefix of this length in one of a few networks, so that prefixes contain each other, or
/// anywhere.
fn prefix4(length: u8) -> impl Strategy<Value = IpNet> {
    let network = prop_oneof![Just(0x0a01_0203), Just(0xc000_0200), any::<u32>()];
    (network, any::<u32>(), 0_u32..=32).prop_map(move |(base, noise, kept)| {
        let noise = noise & u32::MAX.checked_shr(kept).unwrap_or(0);
        let net = Ipv4Net::new((base ^ noise).into(), length).expect("a length up to 32");
        net.trunc().into()
    })
}

fn prefix6(length: u8) -> impl Strategy<Value = IpNet> {
    let network = prop_oneof![Just(0x2001_0db8_u128 << 96), any::<u128>()];
    (network, any::<u128>(), 0_u32..=128).prop_map(move |(base, noise, kept)| {
        let noise = noise & u128::MAX.checked_shr(kept).unwrap_or(0);
        let net = Ipv6Net::new((base ^ noise).into(), length).expect("a length up to 128");
        net.trunc().into()
    })
}

/// Prefixes of up to 16 lengths of each family, none twice: that is refused when a policy is read.
fn prefixes() -> impl Strategy<Value = Vec<IpNet>> {
    let lengths = (vec(0_u8..=32, 1..16), vec(0_u8..=128, 1..16));
    let prefixes = lengths.prop_flat_map(|(four, six)| {
        let four = select(four).prop_flat_map(prefix4);
        let six = select(six).prop_flat_map(prefix6);
        vec(prop_oneof![four, six], 0..60)
    });
    prefixes.prop_map(|prefixes| {
        let unique: BTreeSet<IpNet> = prefixes.into_iter().collect();
        unique.into_iter().collect()
    })
}

/// The index of the longest prefix that contains `address`.
fn longest(prefixes: &[IpNet], address: IpAddr) -> Option<usize> {
    (0..prefixes.len())
        .filter(|&index| prefixes[index].contains(&address))
        .max_by_key(|&index| prefixes[index].prefix_len())
}

/// The ends of every prefix, what lies beside them, and some more.
fn probes(prefixes: &[IpNet], more: &[(u32, u128)]) -> Vec<IpAddr> {
    let ends = prefixes.iter().flat_map(|prefix| match prefix {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| IpAddr::V4(bits.into()))
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| IpAddr::V6(bits.into()))
        }
    });
    let more = more
        .iter()
        .flat_map(|&(v4, v6)| [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())]);
    ends.chain(more).collect()
}

fn check(prefixes: &[IpNet], more: &[(u32, u128)]) {
    let endpoints: BTreeMap<String, Vec<IpNet>> = prefixes
        .iter()
        .enumerate()
        .map(|(index, prefix)| (format!("e{index}"), vec![*prefix]))
        .collect();
    let (image, numbers) = compiled(&with_endpoints(endpoints));
    for address in probes(prefixes, more) {
        let expected =
            longest(prefixes, address).map_or(0, |index| numbers.endpoints[&format!("e{index}")]);
        assert_eq!(
            endpoint_of(&image, address),
            expected,
            "{address} among {prefixes:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn like_a_naive_search(prefixes in prefixes(), more in vec((any::<u32>(), any::<u128>()), 0..50)) {
        check(&prefixes, &more);
    }

    #[test]
    fn written_out_they_say_the_same(
        prefixes in vec((any::<u32>(), 8_u8..=32), 1..40),
        probes in vec(any::<u32>(), 50),
    ) {
        let unique: BTreeMap<(u32, u8), u32> = (1..)
            .zip(prefixes)
            .map(|(value, (address, length))| ((Ipv4(address).masked(length).0, length), value))
            .collect();
        let entries: Vec<Entry<Ipv4>> = unique
            .iter()
            .map(|(&(address, length), &value)| Entry { address: Ipv4(address), length, value })
            .collect();
        let naive = |address: u32| {
            let matching = entries.iter().filter(|e| Ipv4(address).masked(e.length) == e.address);
            matching.max_by_key(|e| e.length).map(|e| e.value)
        };
        let Some(expanded) = expand(entries.clone()) else {
            return Ok(());
        };
        prop_assert!(expanded.lengths.len() <= MAX_LENGTHS as usize);
        let found: BTreeMap<(u32, u8), u32> = expanded
            .entries
            .iter()
            .map(|e| ((e.address.0, e.length), e.value))
            .collect();
        prop_assert_eq!(found.len(), expanded.entries.len(), "an entry is there twice");
        for address in probes.into_iter().chain(entries.iter().map(|e| e.address.0)) {
            let mut probed = expanded.lengths.iter();
            let value = probed.find_map(|&length| found.get(&(Ipv4(address).masked(length).0, length)));
            prop_assert_eq!(value.copied(), naive(address));
        }
    }
}

fn entry<A: Family>(address: A, length: u8) -> Entry<A> {
    Entry {
        address: address.masked(length),
        length,
        value: u32::from(length) + 1,
    }
}

#[test]
fn all_lengths_of_ipv4_are_written_out_to_sixteen() {
    let entries = (8..=32).map(|length| entry(Ipv4(0x0a01_0203), length));
    let expanded = expand(entries.collect()).expect("a modest number of entries");
    assert!(expanded.lengths.len() <= MAX_LENGTHS as usize);
    let prefixes: Vec<IpNet> = (8..=32)
        .map(|length| {
            IpNet::new("10.1.2.3".parse().unwrap(), length)
                .unwrap()
                .trunc()
        })
        .collect();
    check(
        &prefixes,
        &[(0x0a01_0202, 0), (0x0a01_0300, 0), (0x0b00_0000, 0)],
    );
}

/// Prefixes of `count` lengths, so far apart and so many of each that writing out any of them takes
/// more entries than are affordable.
pub fn distant_lengths(count: u8) -> Vec<IpNet> {
    (0..count)
        .flat_map(|n| {
            let length = 128 - 7 * n;
            (1..=8_200_u128).map(move |n| {
                let net = Ipv6Net::new((n << (128 - length)).into(), length);
                net.expect("a length up to 128").into()
            })
        })
        .collect()
}

#[test]
fn lengths_too_far_apart_are_refused() {
    let entries = |count| -> Vec<Entry<Ipv6>> {
        let prefixes = distant_lengths(count).into_iter();
        prefixes
            .filter_map(|prefix| match prefix {
                IpNet::V4(_) => None,
                IpNet::V6(net) => {
                    let bits = net.network().to_bits();
                    let (high, low) = ((bits >> 64) as u64, bits as u64);
                    Some(entry(Ipv6 { high, low }, net.prefix_len()))
                }
            })
            .collect()
    };
    let most = expand(entries(16)).expect("as many lengths as a lookup probes");
    assert_eq!(most.lengths.len(), MAX_LENGTHS as usize);
    assert_eq!(most.entries.len(), 16 * 8_200);
    assert!(expand(entries(17)).is_none());
}

#[test]
fn a_few_hosts_and_a_network_take_one_probe() {
    let hosts = (1..10).map(|n| entry(Ipv4(0xc000_0200 + n), 32));
    let network = [entry(Ipv4(0xc633_6400), 28)];
    let expanded = expand(hosts.chain(network).collect()).expect("few entries");
    assert_eq!(expanded.lengths, [32]);
    assert_eq!(expanded.entries.len(), 9 + 16);
}

#[test]
fn nothing_is_written_out_to_nothing() {
    let expanded = expand(Vec::<Entry<Ipv6>>::new()).expect("nothing");
    assert!(expanded.entries.is_empty() && expanded.lengths.is_empty());
}

#[test]
fn the_default_route_is_the_shortest_prefix() {
    let everyone: Vec<IpNet> = ["0.0.0.0/0", "::/0"]
        .map(|text| text.parse().unwrap())
        .into();
    check(&everyone, &[(0, 0), (u32::MAX, u128::MAX)]);
    let with_host: Vec<IpNet> = ["0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::1/128"]
        .map(|text| text.parse().unwrap())
        .into();
    check(&with_host, &[(0, 0), (u32::MAX, u128::MAX)]);
}

#[test]
fn subprefixes_count_up_within_the_prefix() {
    let four = |n| Ipv4(0x0a00_0000).subprefix(24, 26, n).0;
    assert_eq!([0, 1, 3].map(four), [0x0a00_0000, 0x0a00_0040, 0x0a00_00c0]);
    let six = |length, longer, n| {
        let Ipv6 { high, low } = Ipv6 {
            high: 0xf000 << 48,
            low: 0,
        }
        .subprefix(length, longer, n);
        u128::from(high) << 64 | u128::from(low)
    };
    assert_eq!(six(60, 68, 0xff), (0xf000_u128 << 112) | (0xff << 60));
    assert_eq!(six(0, 0, 0), 0xf000_u128 << 112);
    assert_eq!(six(120, 128, 1), (0xf000_u128 << 112) | 1);
}
