//! A candidate beside the policy in force: it judges what comes and goes, and only counts.

mod strangers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::agent::operator::{self, Operator};
use harness::machine::wait;
use harness::net::packet::{Ethernet, Ipv4, Ipv6, Packet, Tcp};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{
    BASTION, HOST, HOST_GUESTS, HOST_OPERATIONS, INTRUDER, NIC, Station, VIM,
};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::scene::watch::enforced;
use harness::{Agent, Namespace, Outcome, Policy, Topology};
use manoward_api::{Newly, Place, ShadowReport, Way};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);

/// The VIM loses SSH, the bastion everything, and the intruder gains SSH.
fn candidate() -> Policy<'static> {
    Policy {
        serial: 2,
        endpoints: "{
          vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] },
          new: { role: nm, addresses: [192.0.2.66, \"2001:db8:0:17::66\"] } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [libvirt-tls, control] },
                             other: { from: [nm], services: [ssh] } }",
        ..Policy::default()
    }
}

fn try_beside(agent: &Agent<'_>, policy: &Policy<'_>) -> Result<String> {
    let path = agent.folder().join("candidate.yaml");
    std::fs::write(&path, policy.to_string())?;
    agent.ask(&["policy", "try", &path.to_string_lossy()])
}

fn report(agent: &Agent<'_>) -> Result<ShadowReport> {
    let report = agent.ask_json(&["policy", "try", "--report"])?;
    serde_json::from_value(report).context("reading a report")
}

/// Who, by which service, why: and how many packets.
type Rows = BTreeMap<(Newly, String, String, String), u64>;

/// Packets in, at interfaces.
fn arrivals(report: &ShadowReport) -> Rows {
    let rows = report.rows.iter();
    let rows = rows.filter(|row| row.direction == Way::In && row.place == Place::Wire);
    rows.map(|row| {
        let address = row.address.map(|address| address.to_string());
        let who = row.endpoint.clone().or(address).unwrap_or_default();
        let service = row.service.clone().unwrap_or_default();
        ((row.newly, who, service, row.reason.clone()), row.packets)
    })
    .collect()
}

fn row(newly: Newly, who: &str, service: &str, reason: &str, packets: u64) -> Rows {
    let key = (newly, who.to_owned(), service.to_owned(), reason.to_owned());
    BTreeMap::from([(key, packets)])
}

/// Sends frames to which no host answers, in both families.
fn resets(from: &Namespace, station: Station, port: u16, times: u64) -> Result<()> {
    let mut wire = Wire::open(from, NIC)?;
    let ethernet = Ethernet {
        source: station.mac,
        ..Ethernet::default()
    };
    let reset = Tcp {
        flags: Tcp::RST,
        ..Tcp::syn(port)
    };
    let (v4, v6) = if station.mac == BASTION.mac {
        (HOST_OPERATIONS.v4, HOST_OPERATIONS.v6)
    } else {
        (HOST.v4, HOST.v6)
    };
    let v4 = Packet::new()
        .with(ethernet.clone())
        .with(Ipv4::between(station.v4, v4))
        .with(reset.clone());
    let v6 = Packet::new()
        .with(ethernet)
        .with(Ipv6::between(station.v6, v6))
        .with(reset);
    for _ in 0..times {
        wire.send(&v4.build())?;
        wire.send(&v6.build())?;
    }
    Ok(())
}

#[test]
fn what_it_would_do_is_told_exactly_and_not_done() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let arrived = StackCounter::of(&scene.host, INTRUDER.v4)?;
    let said = try_beside(&agent, &candidate())?;
    assert!(said.contains("serial 2 is tried beside serial 1"), "{said}");

    let traffic = |times: u64| -> Result<()> {
        resets(&scene.vim, VIM, openssh::PORT, 5 * times)?;
        resets(&scene.vim, VIM, 7000, 3 * times)?;
        resets(&scene.bastion, BASTION, openssh::PORT, 4 * times)?;
        resets(&scene.intruder, INTRUDER, openssh::PORT, 7 * times)?;
        resets(&scene.intruder, INTRUDER, 7000, 2 * times)
    };
    let expected = |times: u64| {
        [
            row(Newly::Dropped, "vim-1", "ssh", "wrong-role", 10 * times),
            row(
                Newly::Dropped,
                "bastion",
                "ssh",
                "unknown-source",
                8 * times,
            ),
            row(Newly::Admitted, "new", "ssh", "unknown-source", 14 * times),
        ]
        .into_iter()
        .flatten()
        .collect::<Rows>()
    };
    traffic(1)?;
    wait::until(&expected(1), PATIENCE, || Ok(arrivals(&report(&agent)?)))?;
    let told = report(&agent)?;
    let counts = [
        told.trying.newly_dropped,
        told.trying.newly_admitted,
        told.trying.unrecorded,
    ];
    assert_eq!(counts, [18, 14, 0]);
    for row in &told.rows {
        assert!(
            row.first <= row.last && row.bytes >= 54 * row.packets,
            "{row:?}"
        );
    }
    // Nothing of it is done.
    assert_eq!(arrived.packets()?, 0);
    enforced(&scene)?;
    let shown = agent.ask(&["status"])?;
    assert!(shown.contains("serial 2 would newly drop"), "{shown}");

    // It counts while no agent runs, and the next one goes on.
    let before = report(&agent)?;
    let told = |rows: Rows, key: &str| {
        let found = rows.into_iter().find(|((_, who, ..), _)| who == key);
        found.map_or(0, |(_, packets)| packets)
    };
    agent.kill9();
    traffic(1)?;
    enforced(&scene)?;
    agent.restart()?;
    wait::until(&false, PATIENCE * 3, || Ok(report(&agent)?.trying.loading))?;
    traffic(1)?;
    let bastions = told(arrivals(&before), "bastion");
    wait::until(&(bastions + 16), PATIENCE, || {
        Ok(told(arrivals(&report(&agent)?), "bastion"))
    })?;
    assert_eq!(report(&agent)?.trying.since, before.trying.since);
    assert_eq!(agent.problems()?, Vec::<String>::new());
    enforced(&scene)
}

#[test]
fn it_is_tried_until_somebody_says_otherwise() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_beside(&agent, &candidate())?;

    // A policy that has mistakes changes nothing, and neither does one for another host.
    let path = agent.folder().join("wrong.yaml");
    std::fs::write(&path, "serial: x\n")?;
    let output = agent.cli(&["policy", "try", &path.to_string_lossy()])?;
    assert_eq!(output.status.code(), Some(3), "{}", output.stderr);
    let elsewhere = Policy {
        interfaces: "[eth7]",
        ..candidate()
    };
    std::fs::write(&path, elsewhere.to_string())?;
    let output = agent.cli(&["policy", "try", &path.to_string_lossy()])?;
    assert!(output.stderr.contains("eth7"), "{}", output.stderr);
    assert_eq!(report(&agent)?.trying.serial, 2);

    // Another policy in force begins the count anew.
    let output = agent.apply(Policy {
        serial: 3,
        ..Policy::default()
    })?;
    output.succeeded()?;
    let begun = report(&agent)?;
    assert_eq!((begun.trying.beside, begun.rows.len()), (3, 0));
    resets(&scene.vim, VIM, openssh::PORT, 2)?;
    let expected = row(Newly::Dropped, "vim-1", "ssh", "wrong-role", 4);
    wait::until(&expected, PATIENCE, || Ok(arrivals(&report(&agent)?)))?;

    // Stopped, it is gone, and stays so.
    let said = agent.ask(&["policy", "try", "--stop"])?;
    assert!(said.contains("serial 2 is no longer tried"), "{said}");
    enforced(&scene)?;
    for _ in 0..2 {
        let output = agent.cli(&["policy", "try", "--report"])?;
        assert!(
            output.stderr.contains("no policy is being tried"),
            "{}",
            output.stderr
        );
        let pins = agent.pins().join("shadow");
        assert!(!scene.host.enter(|| pins.exists())?, "pins are left");
        agent.restart()?;
    }
    enforced(&scene)
}

#[test]
fn it_is_put_in_force_by_the_rules_of_every_policy() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let output = agent.cli(&["policy", "promote"])?;
    assert!(
        output.stderr.contains("no policy is being tried"),
        "{}",
        output.stderr
    );

    // A serial that is not newer is refused, and the candidate is tried still.
    let stale = Policy {
        serial: 1,
        ..candidate()
    };
    let path = agent.folder().join("candidate.yaml");
    std::fs::write(&path, stale.to_string())?;
    let output = agent.cli(&["policy", "try", &path.to_string_lossy()])?;
    output.succeeded()?;
    assert!(
        output.stderr.contains("apply would refuse it"),
        "{}",
        output.stderr
    );
    let output = agent.cli(&["policy", "promote"])?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert_eq!(report(&agent)?.trying.serial, 1);
    enforced(&scene)?;

    // On trial first; what was in force before returns by itself.
    try_beside(&agent, &candidate())?;
    agent.ask(&["policy", "promote", "--confirm-within", "3s"])?;
    assert_eq!(agent.serial()?, Some(2));
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    wait::until(&Some(1), PATIENCE, || agent.serial())?;

    try_beside(&agent, &candidate())?;
    agent.ask(&["policy", "promote", "-m", "as seen"])?;
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    assert_eq!(openssh::connect(&scene.vim, SHORT)?, Outcome::TimedOut);
    let output = agent.cli(&["policy", "try", "--report"])?;
    assert!(
        output.stderr.contains("no policy is being tried"),
        "{}",
        output.stderr
    );
    let history = agent.ask_json(&["policy", "history"])?;
    let told: Vec<_> = history["entries"]
        .as_array()
        .context("entries")?
        .iter()
        .map(|entry| (entry["event"].clone(), entry["serial"].clone()))
        .collect();
    let expected = [("applied", 1), ("tried", 2), ("lapsed", 2), ("applied", 2)];
    let expected = expected.map(|(event, serial)| (event.into(), serial.into()));
    assert_eq!(told, expected);
    assert_eq!(history["entries"][3]["message"], "as seen");
    let message = history["entries"][1]["message"].to_string();
    assert!(message.contains("tried beside serial 1 since"), "{message}");
    Ok(())
}

const AMQPS: u16 = 5671;

#[test]
fn connections_of_the_host_are_judged_as_if_it_were_in_force() -> Result<()> {
    let uses = Policy {
        reference_points: "{
          Nf-Vi: { from: [vim], services: [ssh] },
          Nf-Vi-out: { to: [vim], services: [amqps] } }",
        ..Policy::default()
    };
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &uses.to_string())?;
    let there = (VIM.v4, AMQPS);
    let listener = scene.vim.tcp_listener(there)?;
    let exchange = |stream: &std::net::TcpStream| -> Result<()> {
        use std::io::{Read as _, Write as _};
        let (mut far, _) = listener.accept()?;
        let mut stream = stream;
        for _ in 0..3 {
            stream.write_all(b"asked")?;
            far.read_exact(&mut [0; 5])?;
            far.write_all(b"answered")?;
            stream.read_exact(&mut [0; 8])?;
        }
        Ok(())
    };
    let connect = || -> Result<std::net::TcpStream> {
        let stream = scene.host.tcp_stream(SocketAddr::from(there), PATIENCE)?;
        stream.context("connecting to the VIM")
    };

    // One from before and one of now, which both policies permit: nothing differs.
    let early = connect()?;
    let same = Policy {
        serial: 2,
        ..uses.clone()
    };
    try_beside(&agent, &same)?;
    exchange(&early)?;
    let late = connect()?;
    exchange(&late)?;
    let told = report(&agent)?;
    assert!(told.rows.is_empty(), "{:?}", told.rows);

    // One that the candidate does not permit: what goes out, and the answers.
    let without = Policy {
        serial: 2,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        ..uses.clone()
    };
    try_beside(&agent, &without)?;
    let refused = connect()?;
    exchange(&refused)?;
    let told = report(&agent)?;
    for direction in [Way::Out, Way::In] {
        let rows = told.rows.iter().filter(|row| row.direction == direction);
        let rows: Vec<_> = rows.collect();
        ensure!(!rows.is_empty(), "nothing {direction:?}: {told:?}");
        for row in rows {
            assert_eq!(row.newly, Newly::Dropped, "{row:?}");
            assert_eq!(row.endpoint.as_deref(), Some("vim-1"), "{row:?}");
            assert_eq!(row.service.as_deref(), Some("amqps"), "{row:?}");
            assert!(row.packets >= 4, "{row:?}");
        }
    }
    drop((early, late, refused));

    // The other way round: the candidate's flow is opened by what is dropped.
    agent
        .apply(Policy {
            serial: 3,
            ..without
        })?
        .succeeded()?;
    try_beside(&agent, &Policy { serial: 4, ..uses })?;
    let outcome = scene.host.tcp_connect(SocketAddr::from(there), SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    let told = report(&agent)?;
    let admitted = told.rows.iter().find(|row| row.newly == Newly::Admitted);
    let admitted = admitted.with_context(|| format!("{told:?}"))?;
    assert_eq!(admitted.direction, Way::Out);
    assert_eq!(admitted.service.as_deref(), Some("amqps"));
    Ok(())
}

#[test]
fn it_judges_at_the_inner_door_too() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_beside(
        &agent,
        &Policy {
            serial: 2,
            endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10] },
                          guest: { role: bastion, addresses: [203.0.113.10] } }",
            ..Policy::default()
        },
    )?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let to = SocketAddr::from((HOST_GUESTS.v4, openssh::PORT));
    let connect = || scene.guest.tcp_connect(to, SHORT);
    assert_eq!(connect()?, Outcome::TimedOut);
    let told = report(&agent)?;
    let row = told.rows.iter().find(|row| row.place == Place::Door);
    let row = row.with_context(|| format!("{told:?}"))?;
    assert_eq!(row.newly, Newly::Admitted);
    assert_eq!(row.endpoint.as_deref(), Some("guest"));
    assert_eq!(row.service.as_deref(), Some("ssh"));
    assert_eq!(told.trying.newly_dropped, 0, "{told:?}");

    // Put in force, it does what was told.
    agent.ask(&["policy", "promote"])?;
    assert_eq!(connect()?, Outcome::Connected);
    Ok(())
}

#[test]
fn leases_count_for_it_as_for_the_policy_in_force() -> Result<()> {
    let scene = Topology::new()?;
    let operator = Operator::new()?;
    let agent = operator.agent(&scene.host, &operator::policy())?;
    let mut joined = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let same = Policy {
        serial: 2,
        ..operator::policy()
    };
    try_beside(&agent, &same)?;
    resets(&scene.vim, VIM, 7000, 3)?;
    // The enrolment goes on, beyond the time that one lasts which has proven nothing.
    std::thread::sleep(Duration::from_secs(8));
    ensure!(joined.is_running(), "{}", joined.stderr());
    resets(&scene.vim, VIM, 7000, 3)?;
    let told = report(&agent)?;
    assert!(told.rows.is_empty(), "{:?}", told.rows);

    // One that asks for no proof would admit whom the policy in force does not.
    let without = Policy {
        serial: 3,
        ..Policy::default()
    };
    drop(joined);
    agent.ask(&["lease", "revoke", "vim-1"])?;
    try_beside(&agent, &without)?;
    resets(&scene.vim, VIM, 7000, 3)?;
    let rows = row(Newly::Admitted, "vim-1", "control", "no-lease", 3);
    wait::until(&true, PATIENCE, || {
        let told = arrivals(&report(&agent)?);
        let seen = |(key, packets)| told.get(key).is_some_and(|it| it >= packets);
        Ok(rows.iter().all(seen))
    })
}

const LIBVIRT_TLS: u16 = 16514;
