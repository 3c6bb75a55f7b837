//! Break glass: who gets in whatever the policy says, for good or through a door that the kernel closes.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::agent::Hook;
use harness::machine::process::Output;
use harness::machine::wait;
use harness::net::station::{HOST, HOST_GUESTS};
use harness::programs::openssh;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);
const TLS: u16 = 16514;

/// Lets the intruder in, whatever else a policy says.
const STANDING: &str = "break_glass: { addresses: [192.0.2.66], services: [ssh],
                                        mac: \"52:54:00:aa:bb:66\", interface: eth0 }";

/// Runs a command at the console of the host.
fn at_console(scene: &Topology, agent: &Agent<'_>, words: &[&str]) -> Result<Output> {
    let command = format!("{:?}", agent.command(words)?).replace('"', "");
    let mut console = Command::new("sh");
    let script = format!("exec setsid --wait --ctty {command} < /dev/tty20");
    console.args(["-c", &script]);
    scene.host.output(&console)
}

fn open(scene: &Topology, agent: &Agent<'_>, term: &str) -> Result<()> {
    let words = ["break-glass", "open", "--for", term, "--to", "ssh"];
    let from = ["--from", "192.0.2.66", "--message", "ticket-4711"];
    at_console(scene, agent, &[&words[..], &from[..]].concat())?.succeeded()?;
    Ok(())
}

/// What `status` tells of break glass.
fn told(agent: &Agent<'_>) -> Result<String> {
    let output = agent.cli(&["status", "--output", "json"])?;
    let status: serde_json::Value = serde_json::from_str(&output.stdout)?;
    let problems = status["problems"].as_array().context("problems")?;
    let of_glass = problems.iter().filter(|it| it["code"] == "break-glass");
    let messages = of_glass.filter_map(|it| it["message"].as_str());
    Ok(messages.collect::<Vec<_>>().join("\n"))
}

fn history(agent: &Agent<'_>) -> Result<Vec<(String, String)>> {
    let history = agent.ask_json(&["policy", "history"])?;
    let entries = history["entries"].as_array().context("entries")?;
    let events = entries.iter().filter(|it| !it["door"].is_null());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(events
        .map(|it| {
            (
                text(&it["event"]),
                format!("{} {}", text(&it["door"]), it["who"]),
            )
        })
        .collect())
}

#[test]
fn a_door_lets_in_for_its_time_and_the_kernel_closes_it() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let _tls = scene.host.tcp_listener((HOST.v4, TLS))?;

    // Only from the console, and only what can be opened.
    let words = [
        "break-glass",
        "open",
        "--for",
        "15m",
        "--from",
        "192.0.2.66",
        "--to",
    ];
    let output = agent.cli(&[&words[..], &["ssh"]].concat())?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert!(output.stderr.contains("console"), "{}", output.stderr);
    for (service, said) in [("shh", "no service `shh`"), ("ping", "no ports")] {
        let output = at_console(&scene, &agent, &[&words[..], &[service]].concat())?;
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    assert_eq!(told(&agent)?, "");

    let begun = Instant::now();
    open(&scene, &agent, "5s")?;
    let opened = Instant::now();
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    let shown = agent.ask(&["break-glass", "status"])?;
    assert!(
        shown.contains("192.0.2.66") && shown.contains("tty20"),
        "{shown}"
    );
    let problem = told(&agent)?;
    assert!(
        problem.contains("opened by uid 0 on tty20: ssh from 192.0.2.66"),
        "{problem}"
    );
    let asked = ["--from", "192.0.2.66", "--to", "192.0.2.17", "--port", "22"];
    let explained = agent.ask(&[&["explain"], &asked[..]].concat())?;
    assert!(explained.contains("break-glass exemption"), "{explained}");
    agent.kill9();
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    let other = scene.intruder.tcp_connect((HOST.v4, TLS), SHORT)?;
    assert_eq!(other, Outcome::TimedOut, "another service");
    wait::until(&Outcome::TimedOut, PATIENCE, || {
        // More than sshd takes at once would wait, too.
        std::thread::sleep(SHORT);
        openssh::connect(&scene.intruder, SHORT)
    })?;
    let closed = Instant::now();
    ensure!(
        closed.duration_since(begun) + SHORT >= Duration::from_secs(5),
        "too early: after {:?}",
        closed.duration_since(begun)
    );
    ensure!(
        closed.duration_since(opened) < Duration::from_secs(7),
        "too late"
    );
    let by_policy = openssh::connect(&scene.vim, PATIENCE)?;
    assert_eq!(by_policy, Outcome::Connected);

    agent.restart()?;
    assert!(agent.counters()?.packets("-", "break-glass") > 0);
    let problem = told(&agent)?;
    assert!(
        problem.contains("has let in") && !problem.contains("is open"),
        "{problem}"
    );
    let events = history(&agent)?;
    let [(first, door), (second, _)] = &events[..] else {
        anyhow::bail!("{events:?}");
    };
    assert_eq!((&**first, &**second), ("opened", "closed"));
    assert!(
        door.contains("ssh from 192.0.2.66 for 5 s") && door.contains("tty20"),
        "{door}"
    );
    let shown = agent.ask(&["policy", "history"])?;
    assert!(shown.contains("ticket-4711"), "{shown}");
    agent.ask(&["policy", "history", "--verify"])?;
    Ok(())
}

#[test]
fn a_door_is_open_under_every_policy_until_it_is_closed() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    open(&scene, &agent, "10m")?;
    let next = Policy {
        serial: 2,
        ..Policy::default()
    };
    agent.apply(next)?.succeeded()?;
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    agent.kill9();
    agent.restart()?;
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    assert!(told(&agent)?.contains("is open"));
    // What was open ends with it.
    let mut session = scene
        .intruder
        .tcp_stream((HOST.v4, openssh::PORT), PATIENCE)??;
    let output = agent.cli(&["break-glass", "close"])?;
    assert!(output.stdout.contains("closed 1 door"), "{}", output.stderr);
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    let before = agent.counters()?.packets("*", "unknown-source");
    std::io::Write::write_all(&mut session, b"more")?;
    wait::until(&true, PATIENCE, || {
        Ok(agent.counters()?.packets("*", "unknown-source") > before)
    })?;
    Ok(())
}

#[test]
fn who_always_gets_in_does_under_every_policy_and_without_one() -> Result<()> {
    let scene = Topology::new()?;
    let standing = Policy {
        more: STANDING,
        ..Policy::default()
    };
    let closed = "without_policy: closed\nrescue: { from: 192.0.2.99, service: ssh }\n";
    let mut agent = Agent::start_with(&scene.host, &standing.to_string(), Hook::Xdp, closed)?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let gets_in = || -> Result<()> {
        assert_eq!(
            openssh::connect(&scene.intruder, PATIENCE)?,
            Outcome::Connected
        );
        Ok(())
    };
    gets_in()?;
    let shown = agent.ask(&["break-glass", "status"])?;
    assert!(
        shown.contains("192.0.2.99") && shown.contains("always"),
        "{shown}"
    );

    // While a policy without it is on trial, and after that has lapsed.
    let without = Policy {
        serial: 2,
        ..Policy::default()
    };
    let path = agent.folder().join("candidate.yaml");
    fs::write(&path, without.to_string())?;
    let path = path.to_string_lossy().into_owned();
    let tried = agent.cli(&["policy", "apply", "--confirm-within", "3s", &path])?;
    tried.succeeded()?;
    gets_in()?;
    wait::until(&Some(1), PATIENCE, || agent.serial())?;
    gets_in()?;

    // The host restarts, and neither file nor store has a policy.
    agent.stop()?;
    let pins = agent.pins().to_string_lossy().into_owned();
    scene.host.run(&["rm", "-r", &pins])?;
    agent.write_policy("serial: nonsense\n")?;
    let policies = agent.folder().join("state/policies");
    fs::write(policies.join("current"), "nonsense")?;
    agent.restart()?;
    let by_policy = openssh::connect(&scene.vim, SHORT)?;
    assert_eq!(by_policy, Outcome::TimedOut, "there is no policy");
    gets_in()?;
    assert!(
        agent
            .ask(&["break-glass", "status"])?
            .contains("last policy")
    );

    // Whoever is bound is not let in from elsewhere.
    link_address(&scene, "52:54:00:aa:bb:67")?;
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    link_address(&scene, "52:54:00:aa:bb:66")?;

    // A policy that does not name it any more ends it.
    agent
        .apply(Policy {
            serial: 3,
            ..Policy::default()
        })?
        .succeeded()?;
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    Ok(())
}

fn link_address(scene: &Topology, mac: &str) -> Result<()> {
    scene
        .intruder
        .run(&["ip", "link", "set", "eth0", "address", mac])?;
    Ok(())
}

#[test]
fn a_door_opens_at_sockets_too() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        more: "break_glass: { addresses: [203.0.113.10], services: [ssh] }",
        ..Policy::default()
    };
    let agent = Agent::start_with(
        &scene.host,
        &policy.to_string(),
        Hook::Xdp,
        "door: enforce\n",
    )?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let _tls = scene.host.tcp_listener((HOST_GUESTS.v4, TLS))?;
    let ssh = scene
        .guest
        .tcp_connect((HOST_GUESTS.v4, openssh::PORT), PATIENCE)?;
    let tls = scene.guest.tcp_connect((HOST_GUESTS.v4, TLS), SHORT)?;
    assert_eq!((ssh, tls), (Outcome::Connected, Outcome::TimedOut));
    assert!(agent.counters()?.at_door("break-glass") > 0);
    Ok(())
}
