//! What an agent makes of the leases that one before it gave.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::agent::operator::{Operator, VIM_1, policy};
use harness::machine::wait;
use harness::net::station::{HOST, INTRUDER, Mac, NIC, VIM};
use harness::{Namespace, Policy, Topology};
use manoward_pki::{Name, Reason, Request, Validity, Which};
use time::OffsetDateTime;

use super::{ONCE, PATIENCE, PORT, SILENCE, connects};

/// How often a host asks whether a session lives.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// The policy with another identity of the VIM.
fn renamed() -> Policy<'static> {
    Policy {
        serial: 2,
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
            authenticate: certificate, identity: \"spiffe://operator.example/vim/2\" } }",
        ..policy()
    }
}

#[test]
fn a_lease_is_not_that_of_an_identity_that_was_never_proven() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    agent.kill9();
    join.kill();
    agent.write_policy(&renamed().to_string())?;
    agent.restart()?;
    agent.await_leases(0, Duration::ZERO)?;
    assert!(!connects(&scene.vim)?);
    agent.await_any("Nf-Vi", "no-lease")
}

#[test]
fn a_lease_whose_certificate_was_revoked_meanwhile_ends() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    agent.kill9();
    join.kill();
    assert!(connects(&scene.vim)?);
    let which = Which::Named("vim-1".to_owned());
    operator.authority.revoke(&which, Reason::KeyCompromise)?;
    agent.restart()?;
    wait::until(&false, PATIENCE, || connects(&scene.vim))?;
    agent.await_leases(0, Duration::ZERO)
}

#[test]
fn a_lease_that_is_still_good_goes_on_with_its_certificate() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let before = agent.leases()?.leases.remove(0);
    agent.kill9();
    join.kill();
    agent.restart()?;
    agent.await_leases(1, PATIENCE)?;
    let after = agent.leases()?.leases.remove(0);
    assert_eq!(after.since, None, "it has not come back");
    assert_eq!(after.identity, VIM_1);
    assert_eq!(
        (after.serial, after.fingerprint),
        (before.serial, before.fingerprint)
    );
    assert!(connects(&scene.vim)?);

    // Whatever nobody can say anything about is no lease.
    agent.kill9();
    std::fs::remove_file(agent.folder().join("state/leases.jsonl"))?;
    agent.restart()?;
    assert!(!connects(&scene.vim)?);
    Ok(())
}

/// Also if nobody is there to end it: the term is 20 s, the certificate ends in ten.
#[test]
fn a_lease_ends_with_its_certificate_without_an_agent() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let now = OffsetDateTime::now_utc();
    let end = now + Duration::from_secs(10);
    let short = operator.issue_to(&Request {
        validity: Validity::Between(now - time::Duration::HOUR, end),
        ..Request::endpoint("vim-1-short", [Name::uri(VIM_1)?])
    })?;
    let _join = operator.join(&scene.vim, &short, &[])?;
    agent.await_leases(1, PATIENCE)?;
    agent.kill9();
    assert!(connects(&scene.vim)?);
    let left = end - OffsetDateTime::now_utc();
    std::thread::sleep(Duration::try_from(left)? + Duration::from_millis(500));
    assert!(!connects(&scene.vim)?);
    agent.restart()?;
    agent.await_leases(0, Duration::ZERO)
}

#[test]
fn who_was_barred_stays_so_over_restarts_and_under_another_name() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    agent.ask(&["lease", "revoke", "vim-1"])?;
    join.kill();
    let is_refused = || -> Result<bool> {
        let join = operator.join(&scene.vim, &operator.vim, &["--once"])?;
        Ok(!join.finish(ONCE)?.status.success())
    };
    assert!(is_refused()?);
    agent.kill9();
    agent.restart()?;
    assert!(is_refused()?, "after a restart");
    let other_name = Policy {
        serial: 2,
        endpoints: "{ vim-9: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
            authenticate: certificate, identity: \"spiffe://operator.example/vim/1\" } }",
        ..policy()
    };
    assert!(agent.apply(other_name)?.status.success());
    assert!(is_refused()?, "under another name");
    let barred = agent.leases()?.barred;
    assert_eq!(barred.len(), 1);
    assert_eq!(barred[0].identity, VIM_1);
    assert_eq!(barred[0].endpoint.as_deref(), Some("vim-9"));

    agent.ask(&["lease", "revoke", "vim-9", "--for", "0"])?;
    assert!(!is_refused()?, "until that is taken back");
    Ok(())
}

/// Moves the VIM's address to another station, as a failover does.
fn move_address(host: &Namespace, from: &Namespace, to: &Namespace, mac: Mac) -> Result<()> {
    let address = VIM.v4;
    from.run(&[
        "ip",
        "address",
        "delete",
        &format!("{address}/24"),
        "dev",
        NIC,
    ])?;
    let script = format!(
        "address add {address}/24 dev {NIC}\nroute replace {} dev {NIC} src {address}\n",
        HOST.v4
    );
    to.feed(&["ip", "-batch", "-"], &script)?;
    // What its gratuitous ARP announces.
    let announced = format!("neighbour replace {address} lladdr {mac} dev {NIC} nud reachable\n");
    host.feed(&["ip", "-batch", "-"], &announced).map(drop)
}

/// The place of an endpoint that has moved to another machine is not written again by the session that
/// it had before, which lives until it has been silent for some time.
#[test]
fn an_endpoint_that_moves_to_another_mac_address_stays_there() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    listener.set_nonblocking(true)?;
    let agent = operator.agent(&scene.host, &policy())?;
    for round in 0..3 {
        let first = operator.join(&scene.vim, &operator.vim, &[])?;
        wait::until(&true, PATIENCE, || connects(&scene.vim))?;
        // Shortly before it is renewed, so that it has answered since the last time.
        std::thread::sleep(Duration::from_millis(4500 - 300 * round));
        move_address(&scene.host, &scene.vim, &scene.intruder, INTRUDER.mac)?;
        let second = operator.join(&scene.intruder, &operator.vim, &[])?;
        wait::until(&true, PATIENCE, || connects(&scene.intruder))?;
        let began = Instant::now();
        while began.elapsed() < KEEPALIVE + Duration::from_secs(1) {
            assert!(connects(&scene.intruder)?, "{round}: {:?}", began.elapsed());
            while listener.accept().is_ok() {}
            std::thread::sleep(Duration::from_millis(50));
        }
        second.terminate()?;
        move_address(&scene.host, &scene.intruder, &scene.vim, VIM.mac)?;
        first.terminate()?;
        agent.await_leases(0, SILENCE)?;
    }
    Ok(())
}
