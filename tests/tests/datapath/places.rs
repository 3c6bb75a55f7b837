//! Services for anyone, endpoints with several roles, and reference points that apply at some places.

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Tcp, Udp};
use harness::net::station::{BASTION, HOST, HOST_OPERATIONS, INTRUDER, Station, VIM};
use verdict::reason::Reason;

use crate::{both, policy};

const ENDPOINTS: &str = r#"
endpoints:
  vim: { roles: [vim, operator], addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2, "2001:db8:0:51::2"], mac: "52:54:00:aa:bb:98" }
"#;

fn judges(reference_points: &str) -> Result<harness::judge::Pooled> {
    Judges::of(&policy(&format!(
        "{ENDPOINTS}reference_points:\n{reference_points}\nservices:\n  \
         web: {{ protocol: tcp, ports: [30080] }}\n  names: {{ protocol: udp, ports: [53] }}\n"
    )))
}

/// The addresses of a station, as `at` has them.
fn at(station: Station) -> String {
    format!("[{}, \"{}\"]", station.v4, station.v6)
}

#[test]
fn an_endpoint_may_use_what_any_of_its_roles_may() -> Result<()> {
    let mut judges = judges(
        "  Nf-Vi: { from: [vim], services: [libvirt-tls] }\n  \
         operations: { from: [operator, bastion], services: [ssh] }",
    )?;
    for packet in both(VIM, HOST) {
        let tls = Ruling::permitted("Nf-Vi", "libvirt-tls", "vim");
        judges.expect(&packet.clone().with(Tcp::syn(16514)), tls)?;
        let ssh = Ruling::permitted("operations", "ssh", "vim");
        judges.expect(&packet.with(Tcp::syn(22)), ssh)?;
    }
    Ok(())
}

#[test]
fn anyone_may_use_a_public_service_also_who_has_a_name() -> Result<()> {
    let mut judges = judges(
        "  own: { from: [vim], services: [web] }\n  \
         public: { from: [anyone], services: [web, ping] }\n  \
         operations: { from: [bastion], services: [ssh] }",
    )?;
    let public = || Ruling::from(Reason::Permitted).under("public", "web");
    for packet in both(INTRUDER, HOST) {
        judges.expect(&packet.clone().with(Tcp::syn(30080)), public())?;
        let reply = packet.clone().with(Tcp::syn(22));
        let refused = Ruling::from(Reason::UnknownSource).under("operations", "ssh");
        judges.expect(&reply, refused)?;
        let senseless = packet.with(Tcp {
            flags: 0,
            ..Tcp::syn(30080)
        });
        let refused = Ruling::from(Reason::TcpFlags).under("public", "web");
        judges.expect(&senseless, refused)?;
    }
    for packet in both(VIM, HOST) {
        let own = Ruling::permitted("own", "web", "vim");
        judges.expect(&packet.with(Tcp::syn(30080)), own)?;
    }
    // From another MAC address than it is bound to, it is like anyone.
    for packet in both(BASTION, HOST) {
        judges.expect(&packet.clone().with(Tcp::syn(30080)), public())?;
        let ssh = Ruling::from(Reason::WrongMac)
            .under("operations", "ssh")
            .of("bastion");
        judges.expect(&packet.with(Tcp::syn(22)), ssh)?;
    }
    // What answers passes, and nothing else.
    for packet in both(HOST, INTRUDER) {
        let answer = packet.clone().with(Tcp::from(30080, Tcp::SYN | Tcp::ACK));
        judges.expect_out(&answer, Ruling::from(Reason::Reply).under("public", "web"))?;
        let refused = Ruling::from(Reason::UnknownDestination).under("operations", "ssh");
        judges.expect_out(&packet.with(Tcp::from(22, Tcp::SYN | Tcp::ACK)), refused)?;
    }
    Ok(())
}

#[test]
fn the_host_may_use_a_service_of_anyone() -> Result<()> {
    let mut judges = judges("  out: { to: [anyone], services: [names] }")?;
    for (query, answer) in both(HOST, INTRUDER).into_iter().zip(both(INTRUDER, HOST)) {
        let query = query.with(Udp::to(53));
        let answer = answer.with(Udp::from(53));
        let none = Ruling::from(Reason::NoFlow).under("out", "names");
        judges.expect(&answer, none)?;
        let out = Ruling::from(Reason::Outbound).under("out", "names");
        judges.expect_out(&query, out)?;
        let established = Ruling::from(Reason::Established).under("out", "names");
        judges.expect(&answer, established)?;
    }
    Ok(())
}

#[test]
fn a_reference_point_applies_at_its_addresses() -> Result<()> {
    let mut judges = judges(&format!(
        "  operations: {{ from: [operator], services: [ssh], at: {} }}\n  \
         both: {{ from: [vim], services: [ssh], at: {}, mode: audit }}\n  \
         public: {{ from: [anyone], services: [web], at: {} }}",
        at(HOST_OPERATIONS),
        at(HOST),
        at(HOST)
    ))?;
    for (host, point) in [(HOST, "both"), (HOST_OPERATIONS, "operations")] {
        for packet in both(VIM, host) {
            let permitted = Ruling::permitted(point, "ssh", "vim");
            judges.expect(&packet.with(Tcp::syn(22)), permitted)?;
        }
        for packet in both(host, VIM) {
            let reply = Ruling::from(Reason::Reply).under(point, "ssh").of("vim");
            judges.expect_out(&packet.with(Tcp::from(22, Tcp::SYN | Tcp::ACK)), reply)?;
        }
    }
    for packet in both(INTRUDER, HOST) {
        let permitted = Ruling::from(Reason::Permitted).under("public", "web");
        judges.expect(&packet.with(Tcp::syn(30080)), permitted)?;
    }
    for packet in both(INTRUDER, HOST_OPERATIONS) {
        let refused = Ruling::from(Reason::WrongPlace).under("public", "web");
        judges.expect(&packet.with(Tcp::syn(30080)), refused)?;
    }
    Ok(())
}

#[test]
fn a_reference_point_applies_at_its_interfaces() -> Result<()> {
    let points = |interface: &str| {
        format!(
            "  tunnel: {{ from: [vim], services: [ssh, ping], at: [{interface}] }}\n  \
             out: {{ to: [vim], services: [web], at: [{interface}] }}"
        )
    };
    let mut here = judges(&points("eth0"))?;
    let mut elsewhere = judges(&points("eth1"))?;
    for packet in both(VIM, HOST) {
        let packet = packet.with(Tcp::syn(22));
        here.expect(&packet, Ruling::permitted("tunnel", "ssh", "vim"))?;
        let refused = Ruling::from(Reason::WrongPlace)
            .under("tunnel", "ssh")
            .of("vim");
        elsewhere.expect(&packet, refused)?;
    }
    for packet in both(HOST, VIM) {
        let opening = packet.clone().with(Tcp::syn(30080));
        here.expect_out(
            &opening,
            Ruling::from(Reason::Outbound).under("out", "web").of("vim"),
        )?;
        let refused = Ruling::from(Reason::WrongPlace)
            .under("out", "web")
            .of("vim");
        elsewhere.expect_out(&opening, refused)?;
        // An answer may leave over another interface than what it answers came over.
        let reply = Ruling::from(Reason::Reply).under("tunnel", "ssh").of("vim");
        elsewhere.expect_out(&packet.with(Tcp::from(22, Tcp::SYN | Tcp::ACK)), reply)?;
    }
    Ok(())
}
