//! A flood of the enrolment port ends no lease, keeps nobody out, and costs the host little.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::agent::Hook;
use harness::agent::operator::{Operator, policy};
use harness::machine::wait;
use harness::net::packet::{Ethernet, Ipv4, Packet, Udp};
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Outcome, Policy, Topology};
use manoward::enrolment::wire;

use super::{ONCE, PATIENCE, PORT, SILENCE, connects};

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
    agent.await_leases(1, Duration::ZERO)?;
    assert!(connects(&scene.vim)?);
    let grown = agent.memory_kb()?.saturating_sub(memory_before);
    assert!(grown < 64 << 10, "the agent has grown by {grown} kB");
    assert!(share < MAX_CPU_SHARE, "the agent took {share} of a CPU");
    let counters = agent.counters()?;
    let reasons = ["rate-limited", "not-initial"];
    let held_back: u64 = reasons
        .iter()
        .map(|it| counters.packets("enrolment", it))
        .sum();
    assert!(held_back > sent / 2, "{held_back} of {sent} were held back");
    Ok(())
}

/// The policy with permission to reach the VIM's service, and a network of endpoints that prove who they
/// are.
fn outward() -> Policy<'static> {
    Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.0/24],
            authenticate: certificate, identity: \"spiffe://operator.example/vim/1\" },
            store-1: { role: storage, addresses: [\"2001:db8:0:17::10\"] } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [control] },
            store: { to: [storage], services: [control] } }",
        ..policy()
    }
}

/// Sends datagrams from many addresses and ports that begin handshakes, `pause` apart, until `stop`.
fn flood(out: &mut Wire, pause: Duration, stop: &AtomicBool) -> Result<u32> {
    let mut payload = vec![0; 1200];
    payload[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let ipv4 = Ipv4 {
            source: [192, 0, 2, 100 + (sent % 100) as u8].into(),
            ..Ipv4::default()
        };
        let ethernet = Ethernet {
            source: INTRUDER.mac,
            ..Ethernet::default()
        };
        let udp = Udp {
            source: 1024 + (sent % 50_000) as u16,
            ..Udp::to(wire::PORT)
        };
        let packet = Packet::new().with(ethernet).with(ipv4).with(udp);
        out.send(&packet.with(payload.clone()).build())?;
        sent += 1;
        std::thread::sleep(pause);
    }
    Ok(sent)
}

/// What strangers begin takes no place from the host's own connections. `flows` is the smallest that there
/// is: of its 4,096 places none was left after a few seconds.
#[test]
fn a_flood_of_beginnings_takes_no_place_of_connections() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.vim.tcp_listener((VIM.v6, PORT))?;
    let settings = operator.settings() + "flows: 1024\n";
    let agent = Agent::start_with(&scene.host, &outward().to_string(), Hook::Xdp, &settings)?;
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&mut intruder, Duration::from_micros(500), &stop));
        std::thread::sleep(Duration::from_secs(12));
        let opened = (0..20)
            .map(|_| scene.host.tcp_connect((VIM.v6, PORT), PATIENCE))
            .collect::<Result<Vec<_>>>();
        let told = wait::until(&true, PATIENCE, || {
            Ok(agent.problems()?.join(" ").contains("7443 is flooded"))
        });
        stop.store(true, Ordering::Relaxed);
        let sent = flooding.join().expect("the flood")?;
        assert!(sent > 6000, "{sent} is no flood");
        told?;
        assert_eq!(opened?, vec![Outcome::Connected; 20]);
        anyhow::Ok(())
    })?;
    assert_eq!(agent.counters()?.packets("store", "flow-table-full"), 0);
    Ok(())
}

/// A thousand datagrams a second from the VIM's address, out of another MAC address.
#[test]
fn who_takes_an_address_elsewhere_keeps_its_owner_out_of_nothing() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let agent = operator.agent(&scene.host, &policy())?;
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let mut frames = forged();
    frames.retain(|frame| frame[42] == 0xc3);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| -> Result<()> {
            for frame in frames.iter().cycle() {
                intruder.send(frame)?;
                std::thread::sleep(Duration::from_micros(800));
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(())
        });
        std::thread::sleep(Duration::from_secs(1));
        let joined = (0..4)
            .map(|_| {
                let join = operator.join(&scene.vim, &operator.vim, &["--once"])?;
                Ok(join.finish(ONCE)?.status.success())
            })
            .collect::<Result<Vec<bool>>>();
        stop.store(true, Ordering::Relaxed);
        flooding.join().expect("the flood")?;
        assert_eq!(joined?, [true; 4]);
        anyhow::Ok(())
    })?;
    assert!(agent.counters()?.packets("enrolment", "rate-limited") > 1000);
    Ok(())
}
