//! Lookups in compiled images, as for packets.

mod addresses;
mod bindings;
mod errors;
mod numbers;
mod patch;
mod prefixes;
mod services;

use std::net::IpAddr;

use verdict::{
    frame::address::{Ipv4, Ipv6},
    image::{
        endpoint::{self, Peer},
        line::Tables as _,
        lookup::{self, Listed},
    },
};

use super::{Facts, Image, Numbers, compile};
use crate::policy::{self, Policy};

/// A policy of this text; the fields that every policy has are added.
fn read(rest: &str) -> Policy {
    let text = format!(
        "apiVersion: manoward/v1\nname: host\nserial: 1\ninterfaces: [eth0]\n\
         protect: [192.0.2.17, \"2001:db8::17\"]\n{rest}"
    );
    policy::read(&text, "policy.yaml")
        .unwrap_or_else(|error| panic!("{error:?}"))
        .policy
}

/// The image of `policy` and the numbers in it.
fn compiled(policy: &Policy) -> (Image, Numbers) {
    let numbers = Numbers::default()
        .carried_to(policy)
        .expect("enough numbers");
    let image = compile(policy, &Facts::default(), &numbers).expect("a policy that fits");
    (image, numbers)
}

/// The number of the endpoint that a packet from `address` comes from; 0 if none.
fn endpoint_of(image: &Image, address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => found(image, Ipv4(address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            found(image, Ipv6 { high, low })
        }
    }
}

/// The number of the endpoint of `address`. Asserts that both orders of lookup find the same.
fn found<A: Listed>(image: &Image, address: A) -> u32 {
    let found = endpoint::find(image, address).expect("all lines");
    let longest_first = match endpoint::find_longest(image, address) {
        Ok(Peer(0)) => lookup::find_shorter(image, address),
        longest => longest,
    };
    assert_eq!(longest_first, Ok(found));
    found.id()
}

#[test]
fn the_same_policy_is_the_same_image() {
    let policy = read(
        "endpoints: { vim: { role: vim, addresses: [192.0.2.10, 198.51.100.0/24] } }\n\
         reference_points: { Nf-Vi: { from: [vim], services: [ssh] } }",
    );
    let (first, second) = (compiled(&policy).0, compiled(&policy).0);
    assert_eq!(first.lines, second.lines);
}

#[test]
fn chunks_are_the_image_in_parts() {
    let policy = read("endpoints: {}\nreference_points: {}");
    let (image, _) = compiled(&policy);
    let lines: Vec<_> = image.chunks().flatten().copied().collect();
    assert_eq!(lines, image.lines);
    assert_eq!(lines.len(), image.len() as usize);
    assert!(!image.is_empty());
    assert!(image.line(image.len().into()).is_err());
    assert!(Image::empty().line(0).is_err() && Image::empty().is_empty());
}
