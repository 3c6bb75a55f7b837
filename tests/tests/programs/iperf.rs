//! Bulk traffic over connections that the host opened.

use anyhow::Result;
use harness::net::station::{INTRUDER, VIM};
use harness::programs::iperf::{self, Direction, Load, Server};
use harness::{Agent, Topology};

use crate::{PATIENCE, SHORT, addresses, outbound, packets_from_host};

const BENCH: &str =
    "{ bench: [{ protocol: tcp, ports: [5201] }, { protocol: udp, ports: [5201] }] }";

#[test]
fn tcp_and_udp_flow_both_ways() -> Result<()> {
    let scene = Topology::new()?;
    let _server = Server::start(&scene.vim)?;
    let _agent = Agent::start(&scene.host, &outbound("[bench]", BENCH))?;
    for vim in addresses(VIM) {
        for load in [Load::Tcp, Load::Udp] {
            for direction in [Direction::Upload, Direction::Download] {
                let arrived = iperf::send(&scene.host, vim, load, direction, PATIENCE)?;
                assert!(
                    arrived > Some(100),
                    "{vim} {load:?} {direction:?}: {arrived:?}"
                );
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
        let arrived = iperf::send(
            &scene.host,
            intruder,
            Load::Tcp,
            Direction::Upload,
            PATIENCE,
        )?;
        assert!(arrived > Some(100), "without the agent: {arrived:?}");
    }
    let _agent = Agent::start(&scene.host, &outbound("[bench]", BENCH))?;
    let received = packets_from_host(&scene.intruder, || {
        for intruder in addresses(INTRUDER) {
            let arrived = iperf::send(&scene.host, intruder, Load::Tcp, Direction::Upload, SHORT)?;
            assert_eq!(arrived, None, "{intruder}");
        }
        Ok(())
    })?;
    assert_eq!(received, 0);
    Ok(())
}
