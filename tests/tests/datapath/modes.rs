//! What happens to a violation: in mode `enforce` it is dropped, in `audit` it is counted and
//! passes.

use anyhow::{Result, ensure};
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Icmpv6, Tcp, Vlan};
use harness::net::station::{BASTION, HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{NO_SERVICE, policy, usual, v4, v6};

/// SSH is audited for the VIM and enforced for the bastion; TLS is audited.
const MIXED: &str = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"], mac: "52:54:00:aa:bb:01" }
  bastion: { role: bastion, addresses: [198.51.100.2] }
reference_points:
  watched: { from: [vim], services: [ssh, libvirt-tls], mode: audit }
  enforced: { from: [bastion], services: [ssh], mode: enforce }
"#;

#[test]
fn the_reference_point_of_the_role_decides_about_its_bindings() -> Result<()> {
    let mut judges = Judges::of(&policy(MIXED))?;
    let mut foreign = VIM;
    foreign.mac = INTRUDER.mac;
    let audited = Ruling::from(Reason::WrongMac)
        .under("watched", "ssh")
        .of("vim")
        .audited();
    judges.expect(&v4(foreign, HOST).with(Tcp::syn(22)), audited)?;
    let permitted = Ruling::permitted("watched", "ssh", "vim");
    judges.expect(&v4(VIM, HOST).with(Tcp::syn(22)), permitted)
}

#[test]
fn an_enforcing_reference_point_decides_about_unknown_sources() -> Result<()> {
    let mut judges = Judges::of(&policy(MIXED))?;
    let ssh = Ruling::from(Reason::UnknownSource).under("enforced", "ssh");
    ensure!(!ssh.passes());
    judges.expect(&v6(INTRUDER, HOST).with(Tcp::syn(22)), ssh)?;
    let tls = Ruling::from(Reason::UnknownSource)
        .under("watched", "libvirt-tls")
        .audited();
    ensure!(tls.passes());
    judges.expect(&v6(INTRUDER, HOST).with(Tcp::syn(16514)), tls)?;
    let role = Ruling::from(Reason::WrongRole)
        .under("watched", "libvirt-tls")
        .of("bastion")
        .audited();
    judges.expect(&v4(BASTION, HOST).with(Tcp::syn(16514)), role)
}

#[test]
fn the_mode_of_the_policy_decides_about_the_rest() -> Result<()> {
    for (mode, audits) in [("enforce", false), ("audit", true)] {
        // A reference point without a mode of its own has the policy's.
        let mut judges = Judges::of(&usual(&format!("mode: {mode}")))?;
        let ruling = |reason| {
            let ruling = Ruling::from(reason);
            if audits { ruling.audited() } else { ruling }
        };
        let closed = v4(VIM, HOST).with(Tcp::syn(NO_SERVICE));
        judges.expect(&closed, ruling(Reason::NoService))?;
        let deep = [Vlan::new(1), Vlan::new(2), Vlan::new(3)].into_iter().fold(
            harness::Packet::new().with(crate::ethernet(VIM, HOST)),
            harness::Packet::with,
        );
        judges.expect(&deep, ruling(Reason::VlanDepth))?;
        let far = v6(INTRUDER, HOST).with(Icmpv6::neighbour_solicitation(HOST.v6, INTRUDER.mac));
        judges.expect(&far, ruling(Reason::HopLimit))?;
        let ssh = ruling(Reason::UnknownSource).under("Nf-Vi", "ssh");
        judges.expect(&v4(INTRUDER, HOST).with(Tcp::syn(22)), ssh)?;
    }
    Ok(())
}

#[test]
fn what_is_permitted_is_never_audited() -> Result<()> {
    let mut judges = Judges::of(&usual("mode: audit"))?;
    let permitted = Ruling::permitted("Nf-Vi", "ssh", "vim");
    judges.expect(&v4(VIM, HOST).with(Tcp::syn(22)), permitted)
}
