//! Every address is found with its own endpoint, and no other is.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use verdict::{
    frame::address::{Ipv4, Ipv6},
    image::{
        header::Header,
        protected::{Direct, PROTECTED_BROADCAST, PROTECTED_GUEST, PROTECTED_UNICAST},
        region,
    },
};

use super::{
    super::{Facts, Image, Numbers, compile},
    compiled, endpoint_of, read,
};
use crate::policy::{Authenticate, Binding, Endpoint, Policy, Protect, Roles};

/// A policy with these endpoints and nothing else of interest.
pub fn with_endpoints(endpoints: BTreeMap<String, Vec<IpNet>>) -> Policy {
    let mut policy = read("endpoints: {}\nreference_points: {}");
    policy.endpoints = endpoints
        .into_iter()
        .map(|(name, addresses)| {
            let roles = Roles(vec!["vim".to_owned()]);
            let binding = Binding::default();
            (
                name,
                Endpoint {
                    authenticate: Authenticate::Address,
                    roles,
                    addresses,
                    binding,
                },
            )
        })
        .collect();
    policy
}

/// `count` addresses of each family, scattered and in runs, for the endpoint of this name.
fn many(count: u32) -> impl Iterator<Item = (IpAddr, IpAddr)> {
    (0..count).map(|n| {
        let v4 = Ipv4Addr::from_bits(0x0a00_0000 + n * 3);
        let v6 = Ipv6Addr::from_bits(
            (0x2001_0db8_u128 << 96) | (u128::from(n) << 40) | u128::from(n % 7),
        );
        (v4.into(), v6.into())
    })
}

#[test]
fn a_hundred_thousand_addresses_of_each_family() {
    const COUNT: u32 = 100_000;
    let mut endpoints: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
    for (n, (v4, v6)) in (0..).zip(many(COUNT)) {
        let addresses = endpoints.entry(format!("e{}", n % 1000)).or_default();
        addresses.extend([IpNet::from(v4), IpNet::from(v6)]);
    }
    let (image, numbers) = compiled(&with_endpoints(endpoints));
    assert!(image.chunks().count() > 1);
    for (n, (v4, v6)) in (0..).zip(many(COUNT)) {
        let expected = numbers.endpoints[&format!("e{}", n % 1000)];
        assert_eq!(endpoint_of(&image, v4), expected, "{v4}");
        assert_eq!(endpoint_of(&image, v6), expected, "{v6}");
    }
    for n in 0..COUNT {
        for address in [
            Ipv4Addr::from_bits(0x0a00_0000 + n * 3 + 1).into(),
            Ipv4Addr::from_bits(0x0b00_0000 + n).into(),
            Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | (u128::from(n) << 40) | 7).into(),
            Ipv6Addr::from_bits(u128::from(n)).into(),
        ] {
            assert_eq!(endpoint_of(&image, address), 0, "{address}");
        }
    }
}

/// The value of `address` in the region of protected addresses. Asserts that its direct entry
/// agrees or does not decide.
fn protected<A: Direct>(image: &Image, address: A) -> u32 {
    let header = Header::of(image).expect("a header");
    let value = region::find(image, header.protected::<A>(), address, A::BITS).expect("all lines");
    let direct = address.direct(image).expect("all lines");
    // Of an IPv6 address it only tells that it is protected.
    let says = if A::BITS == 128 && value != 0 {
        PROTECTED_UNICAST
    } else {
        value
    };
    assert!(
        direct.is_none_or(|direct| u32::from(direct) == says),
        "{direct:?} and {value}"
    );
    value
}

#[test]
fn protected_addresses_are_those_of_policy_and_interfaces() {
    let mut policy = read("endpoints: {}\nreference_points: {}");
    policy.protect.push(Protect::InterfaceAddresses);
    let facts = Facts {
        addresses: vec![
            "203.0.113.5".parse().unwrap(),
            "2001:db8::5".parse().unwrap(),
        ],
        broadcasts: vec![
            Ipv4Addr::new(203, 0, 113, 255),
            Ipv4Addr::new(192, 0, 2, 17),
        ],
        ..Facts::default()
    };
    let image = compile(&policy, &facts, &Numbers::default()).expect("a small policy");
    let v4 = |text: &str| protected(&image, Ipv4(text.parse::<Ipv4Addr>().unwrap().to_bits()));
    let v6 = |low| {
        protected(
            &image,
            Ipv6 {
                high: 0x2001_0db8 << 32,
                low,
            },
        )
    };
    assert_eq!(
        v4("192.0.2.17"),
        PROTECTED_GUEST,
        "also where it is a broadcast"
    );
    assert_eq!(v4("203.0.113.5"), PROTECTED_UNICAST);
    assert_eq!(v4("203.0.113.255"), PROTECTED_BROADCAST);
    assert_eq!((v6(0x17), v6(5)), (PROTECTED_GUEST, PROTECTED_UNICAST));
    assert_eq!((v4("203.0.113.6"), v6(6)), (0, 0));
}

#[test]
fn four_thousand_protected_addresses_are_found() {
    let mut policy = read("endpoints: {}\nreference_points: {}");
    let addresses = || many(2048).flat_map(|(v4, v6)| [v4, v6]);
    policy.protect = addresses().map(Protect::Address).collect();
    let (image, _) = compiled(&policy);
    for address in addresses() {
        let found = match address {
            IpAddr::V4(address) => protected(&image, Ipv4(address.to_bits())),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let (high, low) = ((bits >> 64) as u64, bits as u64);
                protected(&image, Ipv6 { high, low })
            }
        };
        assert_eq!(found, PROTECTED_GUEST, "{address}");
    }
    for n in 0..2048 {
        assert_eq!(protected(&image, Ipv4(0x0a00_0001 + n * 3)), 0);
    }
}

#[test]
fn few_addresses_leave_nearly_everything_to_direct_entries() {
    let (image, _) = compiled(&read("endpoints: {}\nreference_points: {}"));
    let shared = (0..100_000_u32)
        .map(|n| Ipv4(n.wrapping_mul(0x9e37_79b1)))
        .filter(|address| address.direct(&image) == Ok(None))
        .count();
    // One entry of 512 is taken, which about 200 of them share.
    assert!((100..1_000).contains(&shared), "{shared}");
}
