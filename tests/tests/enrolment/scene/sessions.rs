//! One identity at several addresses: the policy's rules for it.

use anyhow::Result;
use harness::agent::operator::{Operator, policy};
use harness::machine::wait;
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::{Agent, Policy, Topology};

use super::{ONCE, PATIENCE, PORT, connects};

/// A policy in which the VIM has whole networks, with this rule about `sessions`.
macro_rules! ruled {
    ($rule:literal) => {
        Policy {
            endpoints: concat!(
                "{ vim-1: { role: vim, addresses: [192.0.2.0/24, \"2001:db8:0:17::/64\"],
                    authenticate: certificate, identity: \"spiffe://operator.example/vim/1\",
                    sessions: ",
                $rule,
                " } }"
            ),
            ..policy()
        }
    };
}

fn addresses(agent: &Agent<'_>) -> Result<Vec<String>> {
    let leases = agent.leases()?.leases.into_iter();
    Ok(leases.map(|lease| lease.address.to_string()).collect())
}

#[test]
fn the_latest_session_replaces_the_one_before() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &ruled!("replace"))?;
    let mut first = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let _second = operator.join(&scene.intruder, &operator.vim, &[])?;
    first.wait_for("replaced", PATIENCE)?;
    assert_eq!(addresses(&agent)?, [INTRUDER.v4.to_string()]);
    assert!(!connects(&scene.vim)?);
    assert!(connects(&scene.intruder)?);
    Ok(())
}

#[test]
fn a_second_address_is_refused_where_the_policy_says_so() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &ruled!("refuse"))?;
    let both = ["--to", &HOST.v6.to_string()];
    let mut first = operator.join(&scene.vim, &operator.vim, &both)?;
    agent.await_leases(2, PATIENCE)?;
    let refused = || -> Result<bool> {
        let second = operator.join(&scene.intruder, &operator.vim, &["--once"])?;
        let output = second.finish(ONCE)?;
        Ok(format!("{}{}", output.stdout, output.stderr).contains("too-many-sessions"))
    };
    assert!(refused()?);
    assert!(connects(&scene.vim)?);
    assert!(!connects(&scene.intruder)?);

    // A lease of the agent before counts until it ends.
    first.kill();
    agent.kill9();
    agent.restart()?;
    let inherited = agent.leases()?.leases;
    assert_eq!(inherited.len(), 2);
    assert!(inherited.iter().all(|lease| lease.since.is_none()));
    assert!(refused()?);
    let revoked = agent.ask_json(&["lease", "revoke", "vim-1", "--for", "0"])?;
    assert_eq!(revoked["leases"], 2);
    assert!(!connects(&scene.vim)?);
    assert!(!refused()?);
    Ok(())
}

#[test]
fn as_many_addresses_hold_leases_as_the_policy_allows() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &ruled!("2"))?;
    let _first = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let mut second = operator.join(&scene.intruder, &operator.vim, &[])?;
    agent.await_leases(2, PATIENCE)?;
    let expected = [VIM.v4.to_string(), INTRUDER.v4.to_string()];
    let mut held = addresses(&agent)?;
    held.sort_by_key(|address| *address != expected[0]);
    assert_eq!(held, expected);
    assert!(connects(&scene.vim)?);
    assert!(connects(&scene.intruder)?);
    second.kill();
    Ok(())
}

#[test]
fn a_lease_outlives_the_trial_of_a_policy_that_does_not_know_its_holder() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let path = agent.folder().join("candidate.yaml");
    let without = Policy {
        serial: 2,
        ..Policy::default()
    };
    // It has neither the endpoint nor its address.
    std::fs::write(
        &path,
        without
            .to_string()
            .replace("vim-1:", "vim-2:")
            .replace("192.0.2.10", "192.0.2.99"),
    )?;
    let path = path.to_string_lossy();
    agent.ask(&["policy", "apply", "--confirm-within", "3s", &path])?;
    assert!(!connects(&scene.vim)?, "it is none of the new policy's");
    agent.kill9();
    wait::until(&true, PATIENCE * 2, || connects(&scene.vim))?;
    Ok(())
}
