//! Super-packets (BIG TCP): segments that the stack handles as one datagram, longer than its header can
//! say. Bulk traffic flows with them, in each direction and at each hook.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use harness::agent::Hook;
use harness::net::link;
use harness::net::station::{HOST, NIC, VIM};
use harness::programs::iperf::{self, Direction, Load, Server};
use harness::{Agent, Namespace, Policy};
use manoward_api::{HookMode, Way};

use crate::{PATIENCE, addresses, outbound, pair};

const BENCH: &str = "{ bench: { protocol: tcp, ports: [5201] } }";
/// Nearly three times what a header can say.
const SIZE: u32 = 180_000;
/// Longest datagram that a header can say.
const USUAL: u64 = 65_535;
/// Less than what is sent; the last bytes may be counted too late.
const MOST: u64 = 190_000_000;

fn transfer(client: &Namespace, server: IpAddr, direction: Direction) -> Result<()> {
    let arrived = iperf::send(client, server, Load::Bulk, direction, PATIENCE)?;
    ensure!(arrived > Some(MOST), "{server}, {direction:?}: {arrived:?}");
    Ok(())
}

#[test]
fn bulk_traffic_flows_at_either_hook() -> Result<()> {
    let own = [format!("{}/24", HOST.v4), format!("{}/64", HOST.v6)];
    let (host, vim) = pair(&own.each_ref().map(String::as_str), VIM)?;
    for namespace in [&host, &vim] {
        link::super_packets(namespace, NIC, SIZE)?;
    }
    let _server = Server::start(&vim)?;
    for hook in [Hook::Tcx, Hook::Xdp] {
        for server in addresses(VIM) {
            let agent = Agent::start_with(&host, &outbound("[bench]", BENCH), hook, "")?;
            transfer(&host, server, Direction::Upload)?;
            let length = agent.counters()?.mean_length(Way::Out, "outbound");
            ensure!(length > USUAL, "{hook:?}, {server}: {length} bytes out");
            drop(agent);
            let agent = Agent::start_with(&host, &outbound("[bench]", BENCH), hook, "")?;
            transfer(&host, server, Direction::Download)?;
            // Where XDP is native, the peer sends what fits on a wire.
            let length = agent.counters()?.mean_length(Way::In, "established");
            ensure!(
                hook == Hook::Xdp || length > USUAL,
                "{server}: {length} bytes in"
            );
        }
    }
    Ok(())
}

/// Where XDP is generic, it sees super-packets, too: on the loopback interface, on which the stations are
/// addresses.
#[test]
fn bulk_traffic_flows_past_generic_xdp() -> Result<()> {
    let host = Namespace::new("host")?;
    for (address, length) in [
        (IpAddr::from(HOST.v4), 32),
        (VIM.v4.into(), 32),
        (HOST.v6.into(), 128),
        (VIM.v6.into(), 128),
    ] {
        let address = format!("{address}/{length}");
        host.run(&["ip", "address", "add", &address, "dev", "lo"])?;
    }
    host.run(&["ip", "link", "set", "lo", "up"])?;
    link::super_packets(&host, "lo", SIZE)?;
    let policy = Policy {
        interfaces: "[lo]",
        // Every address is the host's, so it sends from each of them.
        more: "outbound: any",
        reference_points: "{ Nf-Vi: { from: [vim, self], services: [bench] } }",
        endpoints: "{
          vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] },
          self: { role: self, addresses: [192.0.2.17, \"2001:db8:0:17::17\"] } }",
        services: BENCH,
        ..Policy::default()
    };
    let _server = Server::start(&host)?;
    for server in addresses(HOST) {
        for direction in [Direction::Upload, Direction::Download] {
            let agent = Agent::start(&host, &policy.to_string())?;
            let [attachment] = &agent.ingress()?[..] else {
                anyhow::bail!("{:?}", agent.ingress()?);
            };
            ensure!(attachment.mode == HookMode::XdpGeneric);
            transfer(&host, server, direction)?;
            let counters = agent.counters()?;
            let lengths =
                ["permitted", "established"].map(|reason| counters.mean_length(Way::In, reason));
            ensure!(
                lengths.iter().any(|&length| length > USUAL),
                "{server}, {direction:?}: {lengths:?} bytes"
            );
        }
    }
    Ok(())
}
