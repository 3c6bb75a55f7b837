//! A question about a packet, and its answer.

use manoward_api::{Explanation, Kernel, Question, Way};
use verdict::counters::Direction;

use super::stats::fate;
use crate::{
    enforcer::{self, KernelSays},
    explain::{self, Packet, PacketError, Subject, parse_hex, parse_mac, parse_vlan, to_hex},
    policy::protocol,
};

const SOURCE_PORT: u16 = 50_000;

/// Reads a question.
///
/// # Errors
///
/// Text that is no frame, protocol, MAC address or VLAN.
pub fn question(question: Question) -> Result<explain::Question, PacketError> {
    match question {
        Question::Frame {
            hex,
            interface,
            direction,
        } => Ok(explain::Question {
            subject: Subject::Frame(parse_hex(&hex)?),
            interface,
            direction: reads(direction),
        }),
        Question::Packet {
            from,
            to,
            protocol,
            port,
            source_port,
            mac,
            vlan,
            interface,
            direction,
        } => {
            let packet = Packet {
                from,
                to,
                protocol: protocol::number(&protocol).ok_or(PacketError::Protocol(protocol))?,
                port,
                source_port: source_port.unwrap_or(SOURCE_PORT),
                mac: mac.as_deref().map(parse_mac).transpose()?,
                vlan: vlan.as_deref().map(parse_vlan).transpose()?,
                mid_stream: None,
            };
            Ok(explain::Question {
                subject: Subject::Packet(packet),
                interface,
                direction: reads(direction),
            })
        }
    }
}

const fn reads(way: Way) -> Direction {
    match way {
        Way::In => Direction::In,
        Way::Out => Direction::Out,
    }
}

/// The answer.
pub fn explanation(found: enforcer::Explanation) -> Explanation {
    let (reference_point, service) = found
        .rule
        .map(|rule| (rule.reference_point, rule.service))
        .unzip();
    Explanation {
        fate: fate(found.outcome),
        reason: found.outcome.reason().name().to_owned(),
        reference_point,
        service,
        endpoint: found.endpoint,
        role: found.role,
        prefix: found.prefix.map(|prefix| prefix.to_string()),
        because: found.because,
        frame: to_hex(&found.frame),
        interface: found.interface,
        kernel: match found.kernel {
            KernelSays::Agrees => Kernel::Agrees,
            KernelSays::AgreesOnLoopback => Kernel::AgreesOnLoopback,
            KernelSays::NotAsked => Kernel::NotAsked,
        },
    }
}
