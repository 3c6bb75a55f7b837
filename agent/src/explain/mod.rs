//! Explaining a verdict: which packet, which rule, and why.
//!
//! The verdict itself is not computed here but by the verdict crate, on the image in memory, and
//! by the program in the kernel.

pub mod capture;
mod packet;
mod question;
mod reasons;
mod untouched;

use std::net::IpAddr;

use ipnet::IpNet;
pub use packet::{
    Packet, PacketError, addresses, parse_hex, parse_mac, parse_vlan, to_hex, vlan_of,
};
pub use question::{Question, Subject};
pub use reasons::because;
pub use untouched::untouched;

use crate::{
    image::{Numbers, RuleName},
    policy::{Endpoint, Policy},
};

/// The endpoint that an address belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Covering<'a> {
    /// Its name.
    pub name: &'a str,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// Its prefix that covers the address, the longest of all endpoints'.
    pub prefix: IpNet,
}

/// Finds the endpoint of `address`: the one with the longest prefix that covers it.
#[must_use]
pub fn covering(policy: &Policy, address: IpAddr) -> Option<Covering<'_>> {
    policy
        .endpoints
        .iter()
        .flat_map(|(name, endpoint)| {
            endpoint.addresses.iter().map(move |&prefix| Covering {
                name,
                endpoint,
                prefix,
            })
        })
        .filter(|candidate| candidate.prefix.contains(&address))
        .max_by_key(|candidate| candidate.prefix.prefix_len())
}

/// The rule that an outcome names.
#[must_use]
pub fn rule(numbers: &Numbers, number: u16) -> Option<&RuleName> {
    numbers
        .rules
        .iter()
        .find(|(_, rule)| **rule == number)
        .map(|(name, _)| name)
}

/// The name of the endpoint that an outcome names.
#[must_use]
pub fn endpoint(numbers: &Numbers, number: u32) -> Option<&str> {
    let found = numbers
        .endpoints
        .iter()
        .find(|(_, endpoint)| **endpoint == number);
    found.map(|(name, _)| name.as_str())
}
