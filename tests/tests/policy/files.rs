//! A policy of several files, with facts of the host.

use std::fs;

use anyhow::Result;
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh;
use harness::{Agent, Outcome, Policy, Topology};

const SITE: &str = "\
endpoints:
  jump: { role: jump, addresses: [198.51.100.77] }
reference_points:
  jumping: { from: [jump], services: [ssh], at: [$(operations)] }
";

#[test]
fn hosts_share_files_and_differ_in_facts() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let folder = agent.folder().join("policy.d");
    fs::create_dir(&folder)?;
    let site = folder.join("10-site.yaml");
    let facts = agent.folder().join("facts.yaml");
    let policy = agent.folder().join("policy.yaml");
    let next = Policy {
        serial: 2,
        ..Policy::default()
    };
    fs::write(&policy, next.to_string())?;
    fs::write(&site, SITE)?;
    fs::write(&facts, format!("operations: {}\n", HOST_OPERATIONS.v4))?;
    let path = policy.to_string_lossy().into_owned();

    let effective = agent.cli(&["policy", "check", "--explain-effective", &path])?;
    assert!(
        effective.stdout.contains("10-site.yaml:2"),
        "{}",
        effective.stdout
    );

    // What only the agent finds is told where it is written, too.
    fs::write(&facts, "operations: nowhere0\n")?;
    let refused = agent.cli(&["policy", "check", &path])?;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let place = format!("{}:4:3: ", site.display());
    assert!(refused.stdout.contains(&place), "{}", refused.stdout);
    fs::write(&facts, "operation: 192.0.2.1\n")?;
    let refused = agent.cli(&["policy", "apply", &path])?;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(
        refused.stderr.contains("Did you mean `operation`?"),
        "{}",
        refused.stderr
    );

    // An agent that starts puts the same together.
    fs::write(&facts, format!("operations: {}\n", HOST_OPERATIONS.v4))?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let _too = scene
        .host
        .tcp_listener((HOST_OPERATIONS.v4, openssh::PORT))?;
    let asked = ["explain", "--from", "198.51.100.77", "--port", "22", "--to"];
    for (host, permitted) in [(HOST_OPERATIONS, true), (HOST, false)] {
        let to = host.v4.to_string();
        let answer = agent.cli(&[&asked[..], &[to.as_str()]].concat())?;
        assert_eq!(
            answer.stdout.contains("wrong-place"),
            !permitted,
            "{}",
            answer.stdout
        );
    }
    let applied = agent.cli(&["policy", "diff", &path])?;
    applied.succeeded()?;
    assert_eq!(
        openssh::connect(&scene.vim, std::time::Duration::from_secs(3))?,
        Outcome::Connected
    );
    Ok(())
}
