//! NTP queries of the host.

use anyhow::Result;
use harness::net::station::{INTRUDER, VIM};
use harness::programs::ntp::{self, Server};
use harness::{Agent, Topology};

use crate::{addresses, outbound, packets_from_host};

#[test]
fn the_vim_tells_the_time() -> Result<()> {
    let scene = Topology::new()?;
    let _server = Server::start(&scene.vim)?;
    let _agent = Agent::start(&scene.host, &outbound("[ntp]", "{}"))?;
    for server in addresses(VIM) {
        assert!(ntp::ask(&scene.host, server)?, "{server}");
    }
    Ok(())
}

#[test]
fn a_stranger_is_not_asked() -> Result<()> {
    let scene = Topology::new()?;
    let _server = Server::start(&scene.intruder)?;
    let [server, _] = addresses(INTRUDER);
    assert!(ntp::ask(&scene.host, server)?, "without the agent");

    let _agent = Agent::start(&scene.host, &outbound("[ntp]", "{}"))?;
    let received = packets_from_host(&scene.intruder, || {
        assert!(!ntp::ask(&scene.host, server)?);
        Ok(())
    })?;
    assert_eq!(received, 0);
    Ok(())
}
