//! Answers of DHCP servers to the host are judged wherever they go: its client reads packet sockets, and may
//! have no address yet. Those to clients of tenants are theirs.

use std::net::Ipv4Addr;

use anyhow::Result;
use harness::Packet;
use harness::judge::{BROADCAST, Judges, Ruling};
use harness::net::packet::{Ipv4, Udp};
use harness::net::station::{BASTION, HOST, INTRUDER, Mac, Station, TENANT, VIM};
use verdict::reason::Reason;

use crate::{ENDPOINTS, ethernet, policy};

/// Where servers send answers: to everyone, and to an address that the client is about to have.
const DESTINATIONS: [Ipv4Addr; 4] = [
    Ipv4Addr::BROADCAST,
    BROADCAST,
    Ipv4Addr::new(192, 0, 2, 200),
    Ipv4Addr::new(10, 0, 0, 7),
];

fn with(more: &str) -> String {
    policy(&format!(
        "{ENDPOINTS}reference_points:
  leases: {{ to: [vim], services: [dhcp] }}
{more}"
    ))
}

/// The beginning of an answer (RFC 2131) to the client with this MAC address.
fn answer(client: Mac) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0];
    message.resize(28, 0);
    message.extend(client.0);
    message.resize(240, 0);
    message
}

/// From a server to a client, with these IPv4 options.
fn sent(from: Station, to: Ipv4Addr, options: &[u8]) -> Packet {
    let header = Ipv4 {
        options: options.to_vec(),
        ..Ipv4::between(from.v4, to)
    };
    let packet = Packet::new().with(ethernet(from, HOST)).with(header);
    packet.with(Udp {
        source: 67,
        ..Udp::to(68)
    })
}

#[test]
fn only_a_listed_server_answers_the_host() -> Result<()> {
    for outbound in ["enforce", "audit", "any"] {
        let mut judges = Judges::of(&with(&format!("outbound: {outbound}\n")))?;
        for to in DESTINATIONS {
            for options in [&[][..], &[1, 1, 1, 1]] {
                let offer = |from| sent(from, to, options).with(answer(HOST.mac));
                let unknown = Ruling::from(Reason::UnknownSource).under("leases", "dhcp");
                judges.expect(&offer(INTRUDER), unknown)?;
                let wrong = Ruling::from(Reason::WrongRole).under("leases", "dhcp");
                judges.expect(&offer(BASTION), wrong.of("bastion"))?;
                judges.expect(&offer(VIM), Ruling::permitted("leases", "dhcp", "vim"))?;
            }
        }
        // To an address of the host's, it answers what the host has asked.
        let unknown = Ruling::from(Reason::UnknownSource).under("leases", "dhcp");
        let renewal = |from| sent(from, HOST.v4, &[]).with(answer(HOST.mac));
        judges.expect(&renewal(INTRUDER), unknown)?;
        let unasked = Ruling::from(Reason::NoFlow).under("leases", "dhcp");
        judges.expect(&renewal(VIM), unasked.of("vim"))?;
    }
    Ok(())
}

#[test]
fn clients_of_tenants_are_answered_by_anyone() -> Result<()> {
    let mut judges = Judges::of(&with(""))?;
    for to in DESTINATIONS {
        let offer = sent(INTRUDER, to, &[]).with(answer(TENANT.mac));
        judges.expect(&offer, Reason::Unprotected)?;
        // Too short to name a client.
        judges.expect(
            &sent(INTRUDER, to, &[]).with(vec![2, 1, 6, 0]),
            Reason::Unprotected,
        )?;
    }
    // A policy that says nothing of servers does not judge what they send to everyone.
    let mut judges = Judges::of(&policy(&format!("{ENDPOINTS}reference_points: {{}}\n")))?;
    for to in DESTINATIONS {
        let offer = sent(INTRUDER, to, &[]).with(answer(HOST.mac));
        judges.expect(&offer, Reason::Unprotected)?;
    }
    Ok(())
}
