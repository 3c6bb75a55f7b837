//! IPv6 extension headers (RFC 8200, section 4).

use super::{Layer, Surroundings};

/// A header of the common form: next header, length, content.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its protocol number.
    pub kind: u8,
    /// What follows the two leading bytes; padded so that the header is a multiple of 8 bytes.
    pub content: Vec<u8>,
    /// Overrides the protocol number of the next header.
    pub next_header: Option<u8>,
    /// Overrides the length in units of 8 bytes, without the first.
    pub length: Option<u8>,
}

/// `PadN` over the four bytes that an otherwise empty option header has left.
const PADDING_OPTION: [u8; 6] = [1, 4, 0, 0, 0, 0];

impl Extension {
    /// Hop-by-hop options, with padding only.
    #[must_use]
    pub fn hop_by_hop() -> Self {
        Self::of(0, PADDING_OPTION.to_vec())
    }

    /// Destination options, with padding only.
    #[must_use]
    pub fn destination() -> Self {
        Self::of(60, PADDING_OPTION.to_vec())
    }

    /// A routing header without addresses.
    #[must_use]
    pub fn routing(routing_type: u8, segments_left: u8) -> Self {
        Self::of(43, vec![routing_type, segments_left, 0, 0, 0, 0])
    }

    /// Any header of the common form.
    #[must_use]
    pub const fn of(kind: u8, content: Vec<u8>) -> Self {
        Self {
            kind,
            content,
            next_header: None,
            length: None,
        }
    }
}

impl Layer for Extension {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let size = (2 + self.content.len()).next_multiple_of(8);
        let length = self.length.unwrap_or((size / 8 - 1) as u8);
        let next_header = self.next_header.unwrap_or_else(|| around.ip_protocol());
        let mut header = [&[next_header, length], &self.content[..]].concat();
        header.resize(size, 0);
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(self.kind)
    }
}

/// The fragment header.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    /// The fragment's offset, in units of 8 bytes.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identification of the datagram.
    pub identification: u32,
    /// Overrides the protocol number of the next header.
    pub next_header: Option<u8>,
}

impl Layer for Fragment {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let next_header = self.next_header.unwrap_or_else(|| around.ip_protocol());
        let place = self.offset << 3 | u16::from(self.more);
        let mut header = vec![next_header, 0];
        header.extend(place.to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(44)
    }
}
