//! SCTP associations that the host opens.
//!
//! Both ends name their IPv4 and their IPv6 address (RFC 9260, 6.4), so each heartbeats at once to
//! the address that the association was not opened with. On a host with more addresses usrsctp
//! would not choose the one of the interface.

use anyhow::{Context, Result};
use harness::Agent;
use harness::machine::wait;
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::programs::sctp::{self, Server};

use crate::{PATIENCE, SHORT, addresses, outbound, packets_from_host, pair};

const SIGNALLING: &str = "{ signalling: { protocol: sctp, ports: [9] } }";

const HOST_ADDRESSES: [&str; 2] = ["192.0.2.17/24", "2001:db8:0:17::17/64"];

/// Two messages of a length that nothing else has.
const LINES: &str = "seventeen letters\nseventeen-letters\n";

#[test]
fn an_association_carries_messages() -> Result<()> {
    let (host, vim) = pair(&HOST_ADDRESSES, VIM)?;
    let server = Server::start(&vim)?;
    let _agent = Agent::start(&host, &outbound("[signalling]", SIGNALLING))?;
    for (from, to) in addresses(HOST).into_iter().zip(addresses(VIM)) {
        assert!(sctp::send(&host, to, LINES, PATIENCE)?, "{to}");
        // The server acknowledges a message before it prints it.
        wait::until(&2, PATIENCE, || Ok(server.messages(from, 18)))
            .with_context(|| to.to_string())?;
    }
    Ok(())
}

#[test]
fn a_strangers_server_is_not_reached() -> Result<()> {
    let (host, intruder) = pair(&HOST_ADDRESSES, INTRUDER)?;
    let _server = Server::start(&intruder)?;
    for to in addresses(INTRUDER) {
        let sent = sctp::send(&host, to, LINES, PATIENCE)?;
        assert!(sent, "without the agent: {to}");
    }
    let _agent = Agent::start(&host, &outbound("[signalling]", SIGNALLING))?;
    let received = packets_from_host(&intruder, || {
        for to in addresses(INTRUDER) {
            let sent = sctp::send(&host, to, LINES, SHORT)?;
            assert!(!sent, "{to}");
        }
        Ok(())
    })?;
    assert_eq!(received, 0);
    Ok(())
}
