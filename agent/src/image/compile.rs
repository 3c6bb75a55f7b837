//! From a validated policy and the facts of the host to an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use thiserror::Error;
use verdict::{
    endpoint::INTERFACES_PER_SET,
    image::header,
    layout::{CHUNK_LINES, CHUNKS},
    service::GOVERNING,
};

use super::{
    Image, Numbers, addresses,
    lines::Lines,
    records,
    services::{self, Served},
};
use crate::policy::Policy;

/// What a policy needs to know of the host it is compiled for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Addresses of the host, on whichever interface.
    pub addresses: Vec<IpAddr>,
    /// Broadcast addresses of the host.
    pub broadcasts: Vec<Ipv4Addr>,
    /// For each interface name that the policy uses, the indexes of the interfaces that its
    /// packets arrive on.
    pub arrivals: BTreeMap<String, Vec<u32>>,
}

/// Why a policy cannot be compiled for this host.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CompileError {
    /// `protect` names nothing that exists.
    #[error(
        "the policy protects no address: its interfaces hold none. Give an interface an address, or list addresses under `protect`"
    )]
    NothingProtected,
    /// An endpoint is bound to an interface that does not exist.
    #[error(
        "endpoint `{endpoint}` is bound to interface `{interface}`, which this host does not have"
    )]
    NoSuchInterface {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the interface.
        interface: String,
    },
    /// An endpoint is bound to an interface made of more parts than a set holds.
    #[error(
        "interface `{interface}` has {count} ports; a binding can name an interface of at most {INTERFACES_PER_SET}"
    )]
    TooManyArrivals {
        /// Name of the interface.
        interface: String,
        /// Number of its ports.
        count: usize,
    },
    /// More names than there are counters.
    #[error(
        "the policy has more endpoints, or more services at reference points, than there are counters"
    )]
    TooManyNames,
    /// More distinct prefix lengths than a lookup probes.
    #[error(
        "the policy uses too many different prefix lengths: use fewer, or list shorter prefixes as several longer ones"
    )]
    TooManyLengths,
    /// More addresses than the tables hold.
    #[error(
        "the policy's prefixes take {entries} entries, more than the kernel's tables hold. List fewer addresses"
    )]
    TooManyAddresses {
        /// Entries of all tables, prefixes written out.
        entries: usize,
    },
    /// More lines than an image can have.
    #[error(
        "the policy needs {lines} lines of 64 bytes; an image has {MAX_LINES} at most. List fewer addresses"
    )]
    TooLarge {
        /// Lines that the policy needs.
        lines: usize,
    },
}

/// Most lines of an image.
pub const MAX_LINES: u32 = CHUNKS * CHUNK_LINES;

/// Compiles `policy` for a host with `facts`, with rules and endpoints under `numbers`.
///
/// The same input gives the same image.
pub fn compile(policy: &Policy, facts: &Facts, numbers: &Numbers) -> Result<Image, CompileError> {
    let protected = addresses::protected(policy, facts)?;
    let roles = Roles::of(policy);
    let mut lines = Lines::new();
    let served = Served::of(policy);
    if served.is_too_much() {
        return Err(CompileError::TooManyNames);
    }
    served.write(&mut lines, policy, numbers);
    let first_rule = served.write_rules(&mut lines, policy, &roles, numbers);
    let first_record = records::write(&mut lines, policy, facts, numbers)?;
    services::timeouts(&mut lines, policy);
    lines.header()[header::RECORDS] = (u64::from(first_rule) << 32) | u64::from(first_record);
    lines.header()[header::ROLES] = roles.known_mask(policy);
    addresses::write(&mut lines, policy, &protected, &roles, numbers)?;
    if lines.len() > MAX_LINES as usize {
        return Err(CompileError::TooLarge { lines: lines.len() });
    }
    Ok(Image {
        lines: lines.into_vec(),
        digest: 0,
    })
}

/// Numbers of roles, 1 to 63.
pub struct Roles<'a>(BTreeMap<&'a str, u8>);

impl<'a> Roles<'a> {
    fn of(policy: &'a Policy) -> Self {
        let of_points = policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles);
        let of_endpoints = policy.endpoints.values().map(|endpoint| &endpoint.role);
        let names: BTreeSet<&str> = of_points.chain(of_endpoints).map(String::as_str).collect();
        Self(names.into_iter().zip(1..).collect())
    }

    /// The number of `role`, which the policy names.
    pub fn number(&self, role: &str) -> u8 {
        self.0.get(role).copied().unwrap_or(GOVERNING)
    }

    /// The roles that hold some permission.
    fn known_mask(&self, policy: &Policy) -> u64 {
        policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles)
            .fold(0, |mask, role| mask | 1 << self.number(role))
    }
}
