//! The host that frames are judged for.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use anyhow::Result;
use manoward::image::Facts;
use manoward::policy::{self, Policy};

use verdict::frame::ethernet::mac_word;

use crate::net::station::{HOST, HOST_OPERATIONS, NIC};

/// The interface that frames arrive on in `BPF_PROG_TEST_RUN`: the loopback interface.
pub const ARRIVAL: u32 = 1;

/// An interface that no frame of a test arrives on.
pub const ELSEWHERE: u32 = 99;

/// A broadcast address of the host's.
pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

/// Lengths of frames that the kernel runs a program on: an Ethernet header, and what fits into one
/// buffer.
pub const LENGTHS: RangeInclusive<usize> = 14..=3520;

/// The facts that policies of tests are compiled with: those of the host of
/// [`station`](crate::net::station), with `eth0` as [`ARRIVAL`] and `eth1` as [`ELSEWHERE`].
#[must_use]
pub fn facts() -> Facts {
    Facts {
        segments: BTreeMap::new(),
        addresses: [HOST, HOST_OPERATIONS]
            .iter()
            .flat_map(|host| [host.v4.into(), host.v6.into()])
            .collect(),
        broadcasts: vec![BROADCAST],
        macs: vec![mac_word(HOST.mac.0)],
        arrivals: BTreeMap::from([
            (NIC.to_owned(), vec![ARRIVAL]),
            ("eth1".to_owned(), vec![ELSEWHERE]),
        ]),
        homes: BTreeMap::new(),
    }
}

/// A policy of this text, without mistakes.
pub fn read(text: &str) -> Result<Policy> {
    Ok(policy::read(text, "policy.yaml")?.policy)
}
