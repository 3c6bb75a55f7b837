//! A host that has no address yet, under a policy.

use std::time::Duration;

use anyhow::Result;
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::programs::dhcp::Client;
use harness::programs::dnsmasq::Dnsmasq;
use harness::{Agent, Namespace, Policy};

use crate::{PATIENCE, SHORT, pair};

/// A client waits a second and more between its requests.
const LEASE_PATIENCE: Duration = Duration::from_secs(10);

/// Requests from a link-local address are answered from a link-local address.
const ENDPOINTS: &str = "{
  vim-1: { role: vim, mac: 52:54:00:aa:bb:01, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] },
  vim-1-link: { role: vim, mac: 52:54:00:aa:bb:01, interface: eth0,
                addresses: [\"fe80::5054:ff:feaa:bb01\"] } }";

/// Requests go to all servers; one of them answers from its own address.
fn policy() -> String {
    protecting("[interface-addresses, 192.0.2.17, \"2001:db8:0:17::17\"]")
}

fn protecting(protect: &str) -> String {
    let policy = Policy {
        protect,
        endpoints: ENDPOINTS,
        reference_points: "{ leases-out: { to: [vim], services: [dhcp, dhcpv6] } }",
        services: "{}",
        ..Policy::default()
    };
    policy.to_string()
}

fn has_addresses(host: &Namespace) -> Result<[bool; 2]> {
    let listed = host.run(&["ip", "-brief", "address", "show", NIC])?;
    Ok([HOST.v4.to_string(), HOST.v6.to_string()].map(|address| listed.contains(&address)))
}

#[test]
fn leases_are_obtained_and_renewed() -> Result<()> {
    leased(&policy())
}

/// Also where the policy does not name the address that the host will have.
#[test]
fn a_lease_of_any_address_is_obtained_and_renewed() -> Result<()> {
    leased(&protecting("[interface-addresses]"))
}

fn leased(policy: &str) -> Result<()> {
    let (host, vim) = pair(&[], VIM)?;
    let _agent = Agent::start(&host, policy)?;
    let mut server = Dnsmasq::leasing(&vim, NIC, &HOST)?;
    let mut client = Client::start(&host)?;
    client.await_leases(LEASE_PATIENCE)?;
    assert_eq!(has_addresses(&host)?, [true, true]);

    client.renew(LEASE_PATIENCE)?;
    server.wait_for("DHCPRENEW(eth0)", PATIENCE)?;
    let log = server.log();
    assert_eq!(log.matches("DHCPDISCOVER(eth0)").count(), 1, "{log}");
    assert_eq!(log.matches("DHCPACK(eth0)").count(), 2, "{log}");
    Ok(())
}

#[test]
fn a_rogue_server_leases_nothing() -> Result<()> {
    rogue(&policy())
}

/// Also where nothing protects the address that it offers.
#[test]
fn a_rogue_server_leases_no_address_at_all() -> Result<()> {
    rogue(&protecting("[interface-addresses]"))
}

fn rogue(policy: &str) -> Result<()> {
    let (host, intruder) = pair(&[], INTRUDER)?;
    let agent = Agent::start(&host, policy)?;
    let mut rogue = Dnsmasq::leasing(&intruder, NIC, &HOST)?;
    let client = Client::start(&host)?;
    rogue.wait_for("DHCPOFFER(eth0)", LEASE_PATIENCE)?;
    rogue.wait_for("DHCPADVERTISE(eth0)", LEASE_PATIENCE)?;
    std::thread::sleep(SHORT);
    let log = client.log();
    assert!(!log.contains("offered") && !log.contains("ADV "), "{log}");
    assert_eq!(has_addresses(&host)?, [false, false]);
    agent.await_any("leases-out", "unknown-source")
}
