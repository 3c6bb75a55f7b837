//! Policies of many addresses are correct; their speed is measured by `cargo xtask bench`.

use std::net::Ipv4Addr;

use anyhow::Result;
use harness::agent::policy::{crowd, member};
use harness::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{HOST, NIC};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::{Agent, Policy, Topology};

fn syn(source: Ipv4Addr) -> Vec<u8> {
    Packet::new()
        .with(Ethernet::default())
        .with(Ipv4::between(source, HOST.v4))
        .with(Tcp::syn(openssh::PORT))
        .build()
}

/// Applies a policy of `count` addresses, and checks that the first, the last and one in the middle
/// are let in, and their neighbours kept out.
fn lets_in_and_keeps_out(count: u32) -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let endpoints = format!("{{ {} }}", crowd(count));
    let output = agent.apply(Policy {
        serial: 2,
        endpoints: &endpoints,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        ..Policy::default()
    })?;
    assert!(output.status.success(), "{}", output.stderr);
    let policy = agent.status()?.policy.expect("a policy is in force");
    assert_eq!((policy.serial, policy.addresses), (2, count as usize));

    let mut wire = Wire::open(&scene.vim, NIC)?;
    for (tried, number) in (1..).zip([0, count / 2, count - 1]) {
        let inside = member(number);
        let outside = Ipv4Addr::from_bits(inside.to_bits() + 1);
        let seen = [inside, outside].map(|source| StackCounter::of(&scene.host, source));
        let [inside_seen, outside_seen] = seen;
        wire.send(&syn(outside))?;
        wire.send(&syn(inside))?;
        agent.await_packets("Nf-Vi", "permitted", tried)?;
        agent.await_packets("Nf-Vi", "unknown-source", tried)?;
        assert_eq!(inside_seen?.packets()?, 1, "{inside}");
        assert_eq!(outside_seen?.packets()?, 0, "{outside}");
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_addresses() -> Result<()> {
    lets_in_and_keeps_out(100_000)
}

#[test]
fn a_million_addresses() -> Result<()> {
    lets_in_and_keeps_out(1_000_000)
}
