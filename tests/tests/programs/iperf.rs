//! Much traffic over connections that the host opened.

use anyhow::Result;
use harness::iperf::{self, Load, Server, Way};
use harness::station::{INTRUDER, VIM};
use harness::{Agent, Topology};

use crate::{PATIENCE, SHORT, addresses, heard_from_host, outbound};

const BENCH: &str =
    "{ bench: [{ protocol: tcp, ports: [5201] }, { protocol: udp, ports: [5201] }] }";

#[test]
fn tcp_and_udp_flow_both_ways() -> Result<()> {
    let scene = Topology::new()?;
    let _server = Server::start(&scene.vim)?;
    let _agent = Agent::start(&scene.host, &outbound("[bench]", BENCH))?;
    for vim in addresses(VIM) {
        for load in [Load::Tcp, Load::Udp] {
            for way in [Way::Forth, Way::Back] {
                let arrived = iperf::send(&scene.host, vim, load, way, PATIENCE)?;
                assert!(arrived > Some(100), "{vim} {load:?} {way:?}: {arrived:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_strangers_server_is_not_reached() -> Result<()> {
    let scene = Topology::new()?;
    let _server = Server::start(&scene.intruder)?;
    for intruder in addresses(INTRUDER) {
        let arrived = iperf::send(&scene.host, intruder, Load::Tcp, Way::Forth, PATIENCE)?;
        assert!(arrived > Some(100), "without the agent: {arrived:?}");
    }
    let _agent = Agent::start(&scene.host, &outbound("[bench]", BENCH))?;
    let heard = heard_from_host(&scene.intruder, || {
        for intruder in addresses(INTRUDER) {
            let arrived = iperf::send(&scene.host, intruder, Load::Tcp, Way::Forth, SHORT)?;
            assert_eq!(arrived, None, "{intruder}");
        }
        Ok(())
    })?;
    assert_eq!(heard, 0);
    Ok(())
}
