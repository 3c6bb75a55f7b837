//! Checksums: the Internet's (RFC 1071) and SCTP's CRC-32C (RFC 9260, appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The addresses a transport checksum covers.
#[derive(Clone, Copy, Debug)]
pub enum Pseudo {
    /// RFC 9293, section 3.1.
    V4(Ipv4Addr, Ipv4Addr),
    /// RFC 8200, section 8.1.
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pseudo {
    /// The pseudo header itself.
    pub(crate) fn bytes(self, protocol: u8, length: usize) -> Vec<u8> {
        match self {
            Self::V4(source, destination) => {
                let length = (length as u16).to_be_bytes();
                [
                    &source.octets()[..],
                    &destination.octets(),
                    &[0, protocol],
                    &length,
                ]
                .concat()
            }
            Self::V6(source, destination) => {
                let length = (length as u32).to_be_bytes();
                let next = [0, 0, 0, protocol];
                [&source.octets()[..], &destination.octets(), &length, &next].concat()
            }
        }
    }
}

/// The Internet checksum of these parts in a row. Only the last may be of odd length.
pub(crate) fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in parts.concat().chunks(2) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// CRC-32C in the byte order in which SCTP sends it.
pub(super) fn crc32c(parts: &[&[u8]]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in parts.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_well_known_text() {
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283_u32.to_le_bytes());
    }

    #[test]
    fn internet_checksum_of_the_rfc_example() {
        assert_eq!(
            internet(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]),
            !0xddf2
        );
    }
}
