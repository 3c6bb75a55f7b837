//! The transport layer: TCP, UDP, SCTP.

use super::checksum::crc32c;
use super::{Layer, Surroundings};

/// The client's port, an ephemeral one.
const CLIENT_PORT: u16 = 49152;

/// A TCP header.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// The low eight control bits, as in `Tcp::SYN | Tcp::ACK`.
    pub flags: u8,
    /// Receive window.
    pub window: u16,
    /// Options; padded to a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// Overrides the header's length in units of 4 bytes.
    pub data_offset: Option<u8>,
    /// Overrides the checksum.
    pub checksum: Option<u16>,
}

impl Tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Resets a connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;

    /// A segment to a service.
    #[must_use]
    pub const fn to(destination: u16, flags: u8) -> Self {
        Self {
            source: CLIENT_PORT,
            destination,
            sequence: 1,
            acknowledgement: 0,
            flags,
            window: 64240,
            options: Vec::new(),
            data_offset: None,
            checksum: None,
        }
    }

    /// The first segment of a connection to a service.
    #[must_use]
    pub const fn syn(destination: u16) -> Self {
        Self::to(destination, Self::SYN)
    }

    /// A later segment of a connection to a service.
    #[must_use]
    pub const fn ack(destination: u16) -> Self {
        Self::to(destination, Self::ACK)
    }

    /// A segment from a service to its client.
    #[must_use]
    pub const fn from(source: u16, flags: u8) -> Self {
        let mut segment = Self::to(CLIENT_PORT, flags);
        segment.source = source;
        segment
    }
}

impl Layer for Tcp {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let offset = self.data_offset.unwrap_or((5 + options.len() / 4) as u8);

        let mut header = [self.source.to_be_bytes(), self.destination.to_be_bytes()].concat();
        header.extend(self.sequence.to_be_bytes());
        header.extend(self.acknowledgement.to_be_bytes());
        header.extend([offset << 4, self.flags]);
        header.extend(self.window.to_be_bytes());
        header.extend([0; 4]);
        header.extend(options);

        let sum = self
            .checksum
            .unwrap_or_else(|| around.transport_checksum(&header, 6));
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(6)
    }
}

/// A UDP header.
#[derive(Clone, Debug)]
pub struct Udp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// Overrides the length of header and payload in bytes.
    pub length: Option<u16>,
    /// Overrides the checksum.
    pub checksum: Option<u16>,
}

impl Udp {
    /// A datagram to a service.
    #[must_use]
    pub const fn to(destination: u16) -> Self {
        Self {
            source: CLIENT_PORT,
            destination,
            length: None,
            checksum: None,
        }
    }

    /// A datagram from a service to its client.
    #[must_use]
    pub const fn from(source: u16) -> Self {
        Self {
            source,
            destination: CLIENT_PORT,
            length: None,
            checksum: None,
        }
    }
}

impl Layer for Udp {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let length = self.length.unwrap_or((8 + around.payload.len()) as u16);
        let mut header = [self.source, self.destination, length, 0]
            .map(u16::to_be_bytes)
            .concat();
        // Zero means "no checksum" (RFC 768); a computed zero is sent as all ones.
        let computed = || match around.transport_checksum(&header, 17) {
            0 => u16::MAX,
            sum => sum,
        };
        let sum = self.checksum.unwrap_or_else(computed);
        header[6..8].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(17)
    }
}

/// An SCTP common header; chunks follow as payload.
#[derive(Clone, Debug)]
pub struct Sctp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// The receiver's verification tag.
    pub verification_tag: u32,
    /// Overrides the checksum.
    pub checksum: Option<u32>,
}

impl Sctp {
    /// A packet to a service.
    #[must_use]
    pub const fn to(destination: u16) -> Self {
        Self {
            source: CLIENT_PORT,
            destination,
            verification_tag: 0,
            checksum: None,
        }
    }
}

impl Layer for Sctp {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let mut header = [self.source.to_be_bytes(), self.destination.to_be_bytes()].concat();
        header.extend(self.verification_tag.to_be_bytes());
        header.extend([0; 4]);
        let sum = match self.checksum {
            Some(sum) => sum.to_be_bytes(),
            None => crc32c(&[&header, around.payload]),
        };
        header[8..12].copy_from_slice(&sum);
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(132)
    }
}
