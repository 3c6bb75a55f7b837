//! An attacker on the link who forwards an endpoint's frames, and routers and translators between.

use anyhow::Result;
use harness::agent::operator::{Operator, policy};
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::{Policy, Topology};

use super::{ONCE, PATIENCE, PORT, connects};

/// The VIM's frames for the host go to the intruder, which forwards them as a router does.
fn between(scene: &Topology) -> Result<()> {
    scene.intruder.sysctl("net/ipv4/ip_forward", "1")?;
    for scope in ["all", NIC] {
        let send = format!("net/ipv4/conf/{scope}/send_redirects");
        scene.intruder.sysctl(&send, "0")?;
    }
    neighbour(scene, &INTRUDER.mac.to_string())
}

/// What the VIM takes for the host's MAC address.
fn neighbour(scene: &Topology, mac: &str) -> Result<()> {
    let host = HOST.v4.to_string();
    let replace = ["ip", "neighbour", "replace", &host, "lladdr", mac];
    let words = [&replace[..], &["nud", "permanent", "dev", NIC]].concat();
    scene.vim.run(&words).map(drop)
}

/// A policy that says this of the VIM besides.
fn with(endpoint: &str) -> String {
    let identity = "identity: \"spiffe://operator.example/vim/1\"";
    let endpoints = policy().endpoints;
    let said = endpoints.replace(identity, &format!("{identity}, {endpoint}"));
    assert_ne!(said, endpoints);
    let policy = Policy {
        endpoints: &said,
        ..policy()
    };
    policy.to_string()
}

#[test]
fn who_relays_an_endpoint_s_frames_gets_it_no_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    between(&scene)?;
    let join = operator.join(&scene.vim, &operator.vim, &["--once"])?;
    let refused = join.finish(ONCE)?;
    assert!(!refused.status.success(), "{}", refused.stdout);
    for part in [
        "relayed",
        &VIM.mac.to_string(),
        &INTRUDER.mac.to_string(),
        "`routed: true`",
    ] {
        assert!(refused.stdout.contains(part), "{part}: {}", refused.stdout);
    }
    assert_eq!(agent.refused("relayed")?, 1);
    assert_eq!(agent.leases()?.leases.len(), 0);
    assert!(!connects(&scene.vim)?);

    // Without the relay the VIM gets its lease, and loses it to nobody who relays it later.
    neighbour(&scene, &HOST.mac.to_string())?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    between(&scene)?;
    assert!(!connects(&scene.vim)?, "its frames come from the intruder");
    let lease = agent.leases()?.leases.remove(0);
    assert_eq!(lease.mac, VIM.mac.to_string());
    Ok(())
}

#[test]
fn a_router_between_is_the_policy_s_word_and_is_named() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let settings = operator.settings();
    let hook = harness::agent::Hook::Xdp;
    let agent = harness::Agent::start_with(&scene.host, &with("routed: true"), hook, &settings)?;
    between(&scene)?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let lease = agent.leases()?.leases.remove(0);
    assert!(lease.routed, "{lease:?}");
    assert_eq!(lease.mac, INTRUDER.mac.to_string());
    let shown = agent.ask(&["lease", "list"])?;
    assert!(shown.contains("router "), "{shown}");
    let path = agent.folder().join("policy.yaml");
    let checked = agent.cli(&["policy", "check", &path.to_string_lossy()])?;
    assert!(checked.stdout.contains("router"), "{}", checked.stdout);

    // Once the policy says that there is none, the lease ends.
    let direct = with("routed: false").replace("serial: 1", "serial: 2");
    agent.apply(direct)?.succeeded()?;
    agent.await_leases(0, PATIENCE)?;
    assert!(!connects(&scene.vim)?);
    Ok(())
}

#[test]
fn addresses_that_are_translated_are_refused_by_name() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let endpoints = policy().endpoints.replace("192.0.2.10", "192.0.2.0/24");
    let policy = Policy {
        endpoints: &endpoints,
        ..policy()
    };
    let agent = operator.agent(&scene.host, &policy)?;
    between(&scene)?;
    let table = "table ip between { chain out { type nat hook postrouting priority srcnat; \
        ip daddr 192.0.2.17 masquerade; }; }";
    scene.intruder.run(&["nft", table])?;
    let join = operator.join(&scene.vim, &operator.vim, &["--once"])?;
    let refused = join.finish(ONCE)?;
    assert!(!refused.status.success(), "{}", refused.stdout);
    assert!(refused.stdout.contains("translated"), "{}", refused.stdout);
    assert_eq!(agent.refused("translated")?, 1);
    assert_eq!(agent.leases()?.leases.len(), 0);
    Ok(())
}
