//! Names that the host asks for.

use anyhow::Result;
use harness::net::station::{INTRUDER, VIM};
use harness::programs::dns::{Over, lookup};
use harness::programs::dnsmasq::Dnsmasq;
use harness::{Agent, Topology};

use crate::{addresses, heard_from_host, outbound};

const NAME: &str = "api.example";

#[test]
fn the_vims_resolver_answers_over_udp_and_tcp() -> Result<()> {
    let scene = Topology::new()?;
    let _resolver = Dnsmasq::resolving(&scene.vim, NAME, &VIM)?;
    let _agent = Agent::start(&scene.host, &outbound("[dns]", "{}"))?;
    for resolver in addresses(VIM) {
        for over in [Over::Udp, Over::Tcp] {
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
    let found = lookup(&scene.host, resolver, NAME, Over::Udp)?;
    assert_eq!(found, addresses(INTRUDER), "without the agent");

    let _agent = Agent::start(&scene.host, &outbound("[dns]", "{}"))?;
    let heard = heard_from_host(&scene.intruder, || {
        for over in [Over::Udp, Over::Tcp] {
            let found = lookup(&scene.host, resolver, NAME, over)?;
            assert!(found.is_empty(), "{over:?}: {found:?}");
        }
        Ok(())
    })?;
    assert_eq!(heard, 0);
    Ok(())
}
