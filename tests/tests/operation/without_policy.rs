//! A host on which there is no valid policy to enforce: agent.yaml says what holds.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use harness::agent::Hook;
use harness::net::station::{HOST, NIC};
use harness::programs::openssh;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

/// Lets the VIM in, by the address that it has.
const CLOSED: &str = "without_policy: closed\n\
                      rescue: { from: 192.0.2.10, mac: \"52:54:00:aa:bb:01\", service: ssh }\n";

const INVALID: &str = "serial: nonsense\n";

#[test]
fn without_a_valid_policy_the_agent_says_so_and_nothing_is_enforced() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let mut agent = Agent::start(&scene.host, INVALID)?;
    for (policy, said) in [
        (INVALID.to_owned(), "must be a whole number"),
        (
            Policy {
                reference_points: "{ x: { from: [nobody], services: [ssh] } }",
                ..Policy::default()
            }
            .to_string(),
            "nobody",
        ),
    ] {
        agent.write_policy(&policy)?;
        agent.restart()?;
        assert_eq!(agent.serial()?, None);
        let problems = agent.problems()?;
        assert!(problems.iter().any(|it| it.contains(said)), "{problems:?}");
        let outcome = openssh::connect(&scene.intruder, PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected);
    }
    fs::remove_file(agent.folder().join("policy.yaml"))?;
    agent.restart()?;
    let output = agent.cli(&["status"])?;
    let headline = output.stdout;
    assert!(
        headline.starts_with("not enforcing: there is no policy"),
        "{headline}"
    );
    let output = agent.apply(Policy::default())?;
    assert!(output.status.success(), "{}", output.stderr);
    let outcome = openssh::connect(&scene.intruder, SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    Ok(())
}

#[test]
fn a_closed_host_lets_in_whom_the_rescue_rule_names() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let _bus = scene
        .intruder
        .tcp_listener((harness::net::station::INTRUDER.v4, 5671))?;
    let mut agent = Agent::start_with(&scene.host, INVALID, Hook::Xdp, CLOSED)?;
    let is_closed = |agent: &Agent<'_>| -> Result<()> {
        let from_intruder = openssh::connect(&scene.intruder, SHORT)?;
        assert_eq!(from_intruder, Outcome::TimedOut);
        assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
        let problems = agent.problems()?;
        let told = problems.iter().any(|it| it.contains("whole number"));
        assert!(told, "{problems:?}");
        let attached = agent.ingress()?;
        assert!(
            attached.iter().any(|at| at.interface == NIC),
            "{attached:?}"
        );
        Ok(())
    };
    is_closed(&agent)?;
    let peer = (harness::net::station::INTRUDER.v4, 5671);
    let out = scene.host.tcp_connect(peer, PATIENCE)?;
    assert_eq!(out, Outcome::Connected, "the host still reaches others");
    agent.restart()?;
    is_closed(&agent)?;

    // Any valid policy takes its place, with whatever serial.
    let output = agent.apply(Policy::default())?;
    assert!(output.status.success(), "{}", output.stderr);
    let problems = agent.problems()?;
    let [used] = &problems[..] else {
        anyhow::bail!("{problems:?}");
    };
    assert!(used.contains("break glass has let in"), "{used}");
    assert_eq!(agent.ingress()?.len(), 1, "only what the policy names");
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(1));
    Ok(())
}
