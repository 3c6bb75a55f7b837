//! Policies with mistakes: they are reported with a remedy, and enforcement is unchanged.

use std::time::Duration;

use anyhow::Result;
use harness::net::station::HOST;
use harness::programs::openssh;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// The policy has mistakes.
const INVALID: Option<i32> = Some(3);

/// Texts that are refused, and what the message about each must contain.
fn mistakes() -> Vec<(String, &'static [&'static str])> {
    let valid = Policy {
        serial: 2,
        ..Policy::default()
    };
    let endpoints = |endpoints: &'static str| {
        let policy = Policy {
            endpoints,
            ..valid.clone()
        };
        policy.to_string()
    };
    let points = |reference_points: &'static str| {
        let policy = Policy {
            reference_points,
            ..valid.clone()
        };
        policy.to_string()
    };
    let overlapping = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh, mine] } }",
        services: "{ mine: { protocol: tcp, ports: [20-30] } }",
        ..valid.clone()
    };
    let elsewhere = Policy {
        interfaces: "[eth9]",
        ..valid.clone()
    };
    let nowhere = Policy {
        interfaces: "[eth9, eth0, eth8]",
        ..valid.clone()
    };
    vec![
        (nowhere.to_string(), &["`eth9`, `eth8` (it has"]),
        (String::new(), &["apiVersion"]),
        ("endpoints: [}\n".to_owned(), &[":1:"]),
        (
            format!("{valid}intefaces: [eth0]\n"),
            &["intefaces", "interfaces", ":14:1:"],
        ),
        (
            endpoints("{ vim-1: { role: vim, addreses: [192.0.2.10] } }"),
            &["addreses", "addresses", ":7:"],
        ),
        (
            endpoints("{ vim-1: { role: vim, addresses: [192.0.2.300] } }"),
            &["192.0.2.300", ":7:"],
        ),
        (
            endpoints("{ vim-1: { role: vim, addresses: [192.0.2.10/24] } }"),
            &["192.0.2.0/24", ":7:"],
        ),
        (
            points("{ Nf-Vi: { from: [vom], services: [ssh] } }"),
            &["vom", "vim"],
        ),
        (
            points("{ Nf-Vi: { from: [vim], services: [shh] } }"),
            &["shh", "ssh"],
        ),
        (overlapping.to_string(), &["mine", "ssh", "22"]),
        (
            elsewhere.to_string(),
            &[
                "no interface `eth9`",
                "eth0",
                "vnet0",
                "Correct `interfaces`",
            ],
        ),
    ]
}

#[test]
fn every_mistake_is_told_and_the_policy_in_force_stays() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let before = agent.ask_json(&["policy", "show"])?;
    let attached = agent.status()?.attachments;
    for (text, said) in mistakes() {
        let output = agent.apply(&text)?;
        assert_eq!(output.status.code(), INVALID, "{text}{}", output.stderr);
        for part in said {
            assert!(
                output.stderr.contains(part),
                "{part}: {text}{}",
                output.stderr
            );
        }
        let status = agent.status()?;
        assert_eq!(status.attachments, attached);
        assert_eq!(agent.problems()?, Vec::<String>::new());
    }
    assert_eq!(agent.ask_json(&["policy", "show"])?, before);
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
    Ok(())
}

#[test]
fn all_mistakes_are_told_at_once() -> Result<()> {
    let scene = harness::Namespace::new("host")?;
    scene.run(&["ip", "link", "add", "eth0", "type", "veth"])?;
    let agent = Agent::start(&scene, &Policy::default().to_string())?;
    let text = Policy {
        serial: 2,
        mode: "enforced",
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.300, 192.0.2.301] } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [shh] } }",
        ..Policy::default()
    };
    let output = agent.apply(&text)?;
    assert_eq!(output.status.code(), INVALID);
    for part in ["enforced", "192.0.2.300", "192.0.2.301", "shh"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    // `policy check` finds the same mistakes without an agent and without root.
    let path = agent.folder().join("candidate.yaml");
    let checked = agent.cli(&["policy", "check", &path.to_string_lossy()])?;
    assert_eq!(checked.status.code(), INVALID);
    for part in ["enforced", "192.0.2.300", "192.0.2.301", "shh"] {
        let told = checked.stdout.contains(part) || checked.stderr.contains(part);
        assert!(told, "{part}: {}{}", checked.stdout, checked.stderr);
    }
    Ok(())
}
