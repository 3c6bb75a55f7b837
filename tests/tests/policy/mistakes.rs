//! The classic mistakes, each made from a real SSH session with a policy on trial: the host is never out
//! of reach for longer than the time within which it was to be confirmed.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::machine::wait;
use harness::net::station::HOST_OPERATIONS;
use harness::programs::openssh::{self, Sshd};
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
/// The shortest trial.
const TERM: Duration = Duration::from_secs(3);
/// What finding out takes: a SYN is repeated after a second.
const SLACK: Duration = Duration::from_millis(1500);

const ENDPOINTS: &str = "{
  bastion: { role: bastion, addresses: [198.51.100.0/28] },
  resolver: { role: resolver, addresses: [192.0.2.10] } }";
const POINTS: &str = "{
  operations: { from: [bastion], services: [ssh] },
  names: { to: [resolver], services: [dns, control] } }";

fn policy(serial: u64) -> Policy<'static> {
    Policy {
        serial,
        endpoints: ENDPOINTS,
        reference_points: POINTS,
        ..Policy::default()
    }
}

/// What goes wrong after the policy was applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    Nothing,
    AgentKilled,
    TerminalClosed,
    FileDeleted,
    /// As far as a namespace can: agent and programs are gone, and the agent starts again with the file.
    Restarted,
}

/// Every mistake: what it is, the policy, and what happens after it.
fn mistakes() -> Vec<(&'static str, Policy<'static>, Then)> {
    let with = |endpoints, reference_points| Policy {
        endpoints,
        reference_points,
        ..policy(2)
    };
    let shut_out = "{ bastion: { role: bastion, addresses: [198.51.100.64/28] } }";
    let ssh = "{ operations: { from: [bastion], services: [ssh] } }";
    vec![
        ("wrong prefix", with(shut_out, ssh), Then::Nothing),
        (
            "own role removed",
            with(
                ENDPOINTS,
                "{ other: { from: [resolver], services: [ssh] } }",
            ),
            Then::Nothing,
        ),
        (
            "binding to the wrong MAC address",
            with(
                "{ bastion: { role: bastion, addresses: [198.51.100.0/28],
                   mac: \"52:54:00:00:00:01\" } }",
                ssh,
            ),
            Then::Nothing,
        ),
        (
            "interface misnamed",
            Policy {
                interfaces: "[eth1]",
                ..policy(2)
            },
            Then::Nothing,
        ),
        (
            "peer behind the default route forgotten",
            with(
                "{ resolver: { role: resolver, addresses: [192.0.2.10] } }",
                "{ other: { from: [resolver], services: [ssh] } }",
            ),
            Then::Nothing,
        ),
        (
            "outbound DNS forgotten",
            with(ENDPOINTS, ssh),
            Then::Nothing,
        ),
        ("agent killed", with(shut_out, ssh), Then::AgentKilled),
        ("terminal closed", with(shut_out, ssh), Then::TerminalClosed),
        ("file deleted", with(shut_out, ssh), Then::FileDeleted),
        ("host restarted", with(shut_out, ssh), Then::Restarted),
    ]
}

#[test]
fn no_mistake_keeps_the_host_out_of_reach() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &policy(1).to_string())?;
    let sshd = Sshd::start(&scene.host)?;
    let _resolver = scene
        .vim
        .tcp_listener((harness::net::station::VIM.v4, 7000))?;
    for (serial, (name, policy, then)) in (2..).zip(mistakes()) {
        let policy = Policy { serial, ..policy };
        make(&scene, &mut agent, &sshd, &policy, then).with_context(|| name)?;
    }
    Ok(())
}

/// Makes one mistake in a session, and looks for how long nobody gets in, or nothing gets out.
fn make(
    scene: &Topology,
    agent: &mut Agent<'_>,
    sshd: &Sshd,
    policy: &Policy<'_>,
    then: Then,
) -> Result<()> {
    let path = agent.folder().join("policy.yaml");
    fs::write(&path, policy.to_string())?;
    let path_text = path.to_string_lossy().into_owned();
    let words = [
        "policy",
        "apply",
        "--force",
        "--confirm-within",
        "3s",
        &path_text,
    ];
    let apply = format!("{:?}", agent.command(&words)?).replace('"', "");
    let stays = format!("echo here; {apply} 2>&1; echo ended $?; sleep 60");
    let started = Instant::now();
    let mut session = sshd.session(&scene.bastion, HOST_OPERATIONS.v4, &stays)?;
    session.wait_for("here", PATIENCE)?;
    // The answer may not come any more: the policy has cut the session.
    let answered = wait::until(&true, Duration::from_secs(2), || {
        Ok(agent.serial()? == Some(policy.serial) || session.stdout().contains("ended"))
    });
    answered.context("the policy was applied, or refused")?;
    let applied = Instant::now();
    match then {
        Then::Nothing => {}
        Then::AgentKilled => agent.kill9(),
        Then::TerminalClosed => session.kill(),
        Then::FileDeleted => fs::remove_file(&path)?,
        Then::Restarted => {
            agent.kill9();
            let pins = agent.pins().to_string_lossy().into_owned();
            scene.host.run(&["rm", "-r", &pins])?;
        }
    }
    wait::until(&(Outcome::Connected, Outcome::Connected), PATIENCE, || {
        let target = (HOST_OPERATIONS.v4, openssh::PORT);
        let into = scene.bastion.tcp_connect(target, SHORT)?;
        let resolver = (harness::net::station::VIM.v4, 7000);
        Ok((into, scene.host.tcp_connect(resolver, SHORT)?))
    })?;
    let took = applied.elapsed();
    ensure!(
        took <= TERM + SLACK,
        "{took:?} after the policy was applied"
    );
    // It does not go away again when the time is over.
    std::thread::sleep((TERM + SLACK).saturating_sub(started.elapsed()));
    if matches!(then, Then::AgentKilled | Then::Restarted) {
        agent.restart()?;
    }
    sshd.login(&scene.bastion, HOST_OPERATIONS.v4, "true")?
        .succeeded()?;
    wait::until(&Some(1), PATIENCE, || agent.serial())?;
    Ok(())
}
