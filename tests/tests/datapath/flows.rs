//! Connections that the host opens: only permitted ones go out, and only what belongs to them comes
//! in.

mod answers;
mod errors;
mod lifetime;
mod permission;
mod tcp;
mod transports;

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::Tcp;
use verdict::reason::Reason;

use crate::{ENDPOINTS, policy};

const LOCAL: u16 = 40_000;
const AMQPS: u16 = 5671;
const SYN_ACK: u8 = Tcp::SYN | Tcp::ACK;

/// The host may use AMQP, name service, echo and telemetry of the VIM; the bastion may use SSH of the
/// host. `more` are further lines.
fn outbound(more: &str) -> String {
    policy(&format!(
        r"
{ENDPOINTS}reference_points:
  out: {{ to: [vim], services: [amqps, dns, ping, telemetry] }}
  operations: {{ from: [bastion], services: [ssh] }}
services:
  telemetry: {{ protocol: sctp, ports: [36422] }}
{more}"
    ))
}

/// A segment of the connection between the host and the VIM, from or to the host.
fn segment(outward: bool, flags: u8, sequence: u32, acknowledgement: u32) -> Tcp {
    let (source, destination) = if outward {
        (LOCAL, AMQPS)
    } else {
        (AMQPS, LOCAL)
    };
    Tcp {
        source,
        destination,
        flags,
        sequence,
        acknowledgement,
        ..Tcp::to(0, 0)
    }
}

fn permitted() -> Ruling {
    Ruling::outbound("out", "amqps", "vim")
}

fn answered() -> Ruling {
    Ruling::established("out", "amqps", "vim")
}

fn refused(reason: Reason) -> Ruling {
    Ruling::from(reason).under("out", "amqps").of("vim")
}

/// Lets the host open the connection, and the VIM answer.
fn establish(judges: &mut Judges, out: &Packet, into: &Packet) -> Result<()> {
    let syn = segment(true, Tcp::SYN, 1000, 0);
    judges.expect_out(&out.clone().with(syn), permitted())?;
    let answer = segment(false, SYN_ACK, 7, 1001);
    judges.expect(&into.clone().with(answer), answered())
}
