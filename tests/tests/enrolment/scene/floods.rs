//! A flood of the enrolment port ends no lease, and costs the host little.

use std::time::Instant;

use anyhow::Result;
use harness::Topology;
use harness::agent::operator::{Operator, policy};
use harness::net::packet::{Ethernet, Ipv4, Packet, Udp};
use harness::net::station::{HOST, INTRUDER, NIC};
use harness::net::wire::Wire;
use manoward::enrolment::wire;

use super::{PATIENCE, PORT, SILENCE, connects};

/// The share of a CPU that a flood may cost the agent. Measured was 0.08, with nearly the 16,384
/// datagrams per second that the programs let through; slower machines get three times as much.
const MAX_CPU_SHARE: f64 = 0.25;

/// Datagrams from the VIM's address, out of the intruder's interface, from many ports: random ones,
/// and ones that begin like an Initial packet of QUIC (RFC 9000, 17.2.2).
fn forged() -> Vec<Vec<u8>> {
    let ports = 20_000..20_256_u16;
    ports
        .map(|source| {
            let mut payload = vec![0; 1200];
            fastrand::Rng::with_seed(source.into()).fill(&mut payload);
            if source % 2 == 0 {
                payload[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
            }
            let ethernet = Ethernet {
                source: INTRUDER.mac,
                ..Ethernet::default()
            };
            let packet = Packet::new().with(ethernet).with(Ipv4::default());
            let datagram = packet.with(Udp {
                source,
                ..Udp::to(wire::PORT)
            });
            datagram.with(payload).build()
        })
        .collect()
}

#[test]
fn a_flood_of_forged_datagrams_ends_no_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let (memory_before, busy_before) = (agent.memory_kb()?, agent.processor_time()?);
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let frames = forged();
    let start = Instant::now();
    let mut sent = 0_u64;
    // Longer than a lease lives without being renewed.
    while start.elapsed() < SILENCE {
        for frame in &frames {
            intruder.send(frame)?;
            sent += 1;
        }
    }
    let busy = agent.processor_time()?.saturating_sub(busy_before);
    let share = busy.as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(sent > 100_000, "{sent} is no flood");
    agent.await_leases(1, std::time::Duration::ZERO)?;
    assert!(connects(&scene.vim)?);
    let grown = agent.memory_kb()?.saturating_sub(memory_before);
    assert!(grown < 64 << 10, "the agent has grown by {grown} kB");
    assert!(share < MAX_CPU_SHARE, "the agent took {share} of a CPU");
    let limited = agent.counters()?.packets("enrolment", "rate-limited");
    assert!(limited > sent / 2, "{limited} of {sent} were held back");
    Ok(())
}
