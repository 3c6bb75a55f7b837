//! Audit: what would be dropped passes, and is counted.

use std::time::Duration;

use anyhow::Result;
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh;
use harness::programs::tls;
use harness::{Agent, Outcome, Policy, Topology};
use manoward_api::Fate;

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn violations_pass_and_are_counted() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        mode: "audit",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let _tls = scene.host.tcp_listener((HOST_OPERATIONS.v4, tls::PORT))?;
    let attempts = [
        (&scene.intruder, HOST, openssh::PORT, Outcome::Connected),
        (
            &scene.bastion,
            HOST_OPERATIONS,
            tls::PORT,
            Outcome::Connected,
        ),
        // A reset: the packet came through, and nobody listens.
        (&scene.intruder, HOST, 23, Outcome::Refused),
        (&scene.vim, HOST, openssh::PORT, Outcome::Connected),
    ];
    for (from, host, port, expected) in attempts {
        let outcome = from.tcp_connect((host.v4, port), PATIENCE)?;
        assert_eq!(outcome, expected, "{} {port}", from.name());
    }
    assert!(scene.intruder.ping(HOST.v4.into())?);

    let counters = agent.counters()?;
    let audited = counters.with_fate(Fate::Audited);
    let reasons: Vec<_> = audited
        .keys()
        .map(|(point, reason)| (point.as_str(), reason.as_str()))
        .collect();
    let expected = [
        ("-", "no-service"),
        ("Nf-Vi", "unknown-source"),
        ("Nf-Vi", "wrong-role"),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(counters.fate(Fate::Dropped), 0);
    assert!(counters.packets("Nf-Vi", "permitted") > 0);
    let headline = agent.cli(&["status"])?.stdout;
    assert!(headline.contains("auditing host serial 1"), "{headline}");
    Ok(())
}

#[test]
fn one_reference_point_is_audited_while_the_others_enforce() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             trial: { from: [vim], services: [libvirt-tls], mode: audit } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let _tls = scene.host.tcp_listener((HOST.v4, tls::PORT))?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let connect = |port, timeout| scene.intruder.tcp_connect((HOST.v4, port), timeout);
    assert_eq!(connect(tls::PORT, PATIENCE)?, Outcome::Connected);
    assert_eq!(connect(openssh::PORT, SHORT)?, Outcome::TimedOut);
    assert_eq!(connect(23, SHORT)?, Outcome::TimedOut);
    let counters = agent.counters()?;
    let audited = counters.with_fate(Fate::Audited);
    assert_eq!(
        audited.keys().collect::<Vec<_>>(),
        [&("trial".to_owned(), "unknown-source".to_owned())]
    );
    assert!(counters.packets("Nf-Vi", "unknown-source") > 0);
    assert!(counters.packets("-", "no-service") > 0);
    Ok(())
}
