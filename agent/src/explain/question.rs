//! What is asked about a packet, and the frame that the question is about.

use verdict::counters::Direction;

use super::{Packet, PacketError, covering};
use crate::policy::Policy;

/// A packet whose verdict somebody asks for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The packet.
    pub subject: Subject,
    /// Name of the interface that it arrives on, or leaves by; the first attached one if not given.
    pub interface: Option<String>,
    /// Which way it goes.
    pub direction: Direction,
}

/// A frame, or what to make one of.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The bytes from the destination MAC address on.
    Frame(Vec<u8>),
    /// A packet that opens a connection, or belongs to one that is open.
    Packet(Packet),
}

impl Question {
    /// The bytes of the frame, and the name of the interface that it arrives on.
    ///
    /// What the question leaves open is taken from the binding of the sender, if `policy` knows it.
    ///
    /// # Errors
    ///
    /// A packet that cannot be.
    pub fn frame(&self, policy: &Policy) -> Result<(Vec<u8>, Option<String>), PacketError> {
        let interface = self.interface.clone();
        match &self.subject {
            Subject::Frame(bytes) => Ok((bytes.clone(), interface)),
            Subject::Packet(packet) => {
                // Bindings say where an endpoint's packets come from; the host's own have none.
                let sender = match self.direction {
                    Direction::In => covering(policy, packet.from),
                    Direction::Out => None,
                };
                let binding = sender.map(|found| &found.endpoint.binding);
                let bound = || binding.and_then(|binding| binding.interfaces.first().cloned());
                Ok((packet.frame(binding)?, interface.or_else(bound)))
            }
        }
    }
}
