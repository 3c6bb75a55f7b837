//! DNS queries of the host.

use anyhow::Result;
use harness::net::station::{INTRUDER, VIM};
use harness::programs::dns::{Transport, lookup};
use harness::programs::dnsmasq::Dnsmasq;
use harness::{Agent, Topology};

use crate::{addresses, outbound, packets_from_host};

const NAME: &str = "api.example";

#[test]
fn the_vims_resolver_answers_over_udp_and_tcp() -> Result<()> {
    let scene = Topology::new()?;
    let _resolver = Dnsmasq::resolving(&scene.vim, NAME, &VIM)?;
    let _agent = Agent::start(&scene.host, &outbound("[dns]", "{}"))?;
    for resolver in addresses(VIM) {
        for over in [Transport::Udp, Transport::Tcp] {
            let found = lookup(&scene.host, resolver, NAME, over)?;
            assert_eq!(found, addresses(VIM), "{resolver} {over:?}");
        }
    }
    Ok(())
}

#[test]
fn a_strangers_resolver_is_not_reached() -> Result<()> {
    let scene = Topology::new()?;
    let _resolver = Dnsmasq::resolving(&scene.intruder, NAME, &INTRUDER)?;
    let [resolver, _] = addresses(INTRUDER);
    let found = lookup(&scene.host, resolver, NAME, Transport::Udp)?;
    assert_eq!(found, addresses(INTRUDER), "without the agent");

    let _agent = Agent::start(&scene.host, &outbound("[dns]", "{}"))?;
    let received = packets_from_host(&scene.intruder, || {
        for over in [Transport::Udp, Transport::Tcp] {
            let found = lookup(&scene.host, resolver, NAME, over)?;
            assert!(found.is_empty(), "{over:?}: {found:?}");
        }
        Ok(())
    })?;
    assert_eq!(received, 0);
    Ok(())
}
