//! Programs and pins that are changed by hand, and full tables.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::agent::Hook;
use harness::machine::namespace::argv;
use harness::machine::wait;
use harness::net::station::{NIC, VIM};
use harness::net::traffic::Stream;
use harness::scene::watch::Watch;
use harness::{Agent, Policy, Topology};

use super::PATIENCE;

/// The smallest flow table, and many more requests than it has entries.
const FLOWS: &str = "flows: 1024\n";
const REQUESTS: u16 = 12_000;

const BUS: u16 = 5671;

#[test]
fn pins_that_are_removed_by_hand_come_back_while_the_agent_runs() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    let pins = agent.pins().to_string_lossy().into_owned();
    let list = || {
        scene
            .host
            .run(&["sh", "-c", &format!("find {pins} -type f | sort")])
    };
    let before = list()?;
    for part in ["links", "."] {
        let remove = format!("find {pins}/{part} -type f -delete");
        scene.host.run(&["sh", "-c", &remove])?;
        watch.check()?;
        wait::until(&before, PATIENCE, list)?;
        ensure!(agent.log().contains("pin"), "{}", agent.log());
        watch.check()?;
    }
    // So that the next agent finds them.
    agent.kill9();
    watch.check()?;
    agent.restart()?;
    ensure!(agent.serial()? == Some(1));
    watch.end()
}

#[test]
fn a_program_that_is_to_take_the_place_is_refused() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    let off = argv(&["ip", "link", "set", "dev", NIC, "xdp", "off"])?;
    let output = scene.host.output(&off)?;
    ensure!(
        output.stderr.contains("replace active"),
        "{}",
        output.stderr
    );
    watch.check()?;
    let other = Agent::start_with(
        &scene.host,
        &Policy::default().to_string(),
        Hook::Xdp,
        "classifiers: clsact\n",
    );
    let error = other.expect_err("the slot is taken").to_string();
    ensure!(error.contains("`eth0` is taken"), "{error}");
    watch.check()?;
    ensure!(agent.problems()?.is_empty(), "{:?}", agent.status()?);
    watch.end()
}

#[test]
fn a_full_table_of_flows_gives_up_no_connection_that_is_open() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{
          Nf-Vi: { from: [vim], services: [libvirt-tls, ssh, control] },
          operations: { from: [bastion], services: [ssh] },
          out: { to: [vim], services: [amqps, names] } }",
        services: "{ control: { protocol: tcp, ports: [7000] },
                     names: { protocol: udp, ports: [53] } }",
        ..Policy::default()
    };
    let agent = Agent::start_with(&scene.host, &policy.to_string(), Hook::Xdp, FLOWS)?;
    let watch = Watch::begin(&scene)?;
    let bus = Stream::start(&scene.host, &scene.vim, (VIM.v4, BUS).into())?;
    let rounds = bus.rounds();
    // Requests that nobody answers, each from another port.
    let silent = scene.vim.udp((VIM.v4, 53), Duration::from_secs(1))?;
    scene.host.enter(|| -> Result<()> {
        for port in 20_000..20_000 + REQUESTS {
            let socket = UdpSocket::bind(("0.0.0.0", port))?;
            socket.send_to(b"?", (VIM.v4, 53))?;
        }
        Ok(())
    })??;
    drop(silent);
    wait::until(&true, PATIENCE, || {
        let problems = agent.status()?.problems;
        Ok(problems.iter().any(|it| it.code == "flow-table-pressure"))
    })?;
    watch.check()?;
    wait::until(&true, PATIENCE, || Ok(bus.rounds() > rounds + 10))?;
    // A new connection finds room: unanswered requests are evicted.
    bus.stop()?;
    let again = Stream::start(&scene.host, &scene.vim, (VIM.v4, BUS).into())?;
    wait::until(&true, PATIENCE, || Ok(again.rounds() > 10))?;
    again.stop()?;
    ensure!(agent.counters()?.packets("out", "flow-table-full") == 0);
    watch.end()
}
