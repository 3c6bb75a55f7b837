//! From a question of the control API to the frame that it is about.

use verdict::counters::Direction;

use super::{Packet, PacketError, covering, parse_hex, parse_mac, parse_vlan};
use crate::{
    control::api::{Question, Way},
    policy::{Policy, protocol},
};

const SOURCE_PORT: u16 = 50_000;

/// Which way the packet in `question` goes.
#[must_use]
pub fn direction(question: &Question) -> Direction {
    match question {
        Question::Packet { direction, .. } | Question::Frame { direction, .. } => {
            (*direction).into()
        }
    }
}

/// The bytes of the frame in `question`, and the name of the interface that it arrives on.
///
/// What the question leaves open is taken from the binding of the sender, if `policy` knows it.
pub fn frame(
    question: &Question,
    policy: &Policy,
) -> Result<(Vec<u8>, Option<String>), PacketError> {
    match question {
        Question::Frame { hex, interface, .. } => Ok((parse_hex(hex)?, interface.clone())),
        Question::Packet {
            from,
            to,
            protocol: named,
            port,
            source_port,
            mac,
            vlan,
            interface,
            direction,
        } => {
            let number =
                protocol::number(named).ok_or_else(|| PacketError::Protocol(named.clone()))?;
            let packet = Packet {
                from: *from,
                to: *to,
                protocol: number,
                port: *port,
                source_port: source_port.unwrap_or(SOURCE_PORT),
                mac: mac.as_deref().map(parse_mac).transpose()?,
                vlan: vlan.as_deref().map(parse_vlan).transpose()?,
            };
            // Bindings say where an endpoint's packets come from; the host's own have none.
            let sender = match direction {
                Way::In => covering(policy, *from),
                Way::Out => None,
            };
            let binding = sender.map(|found| &found.endpoint.binding);
            let bound = binding.and_then(|binding| binding.interface.clone());
            Ok((packet.frame(binding)?, interface.clone().or(bound)))
        }
    }
}
