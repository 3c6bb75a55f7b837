//! Packets of QUIC version 1 that begin a handshake, and the mark at the front of the tokens that the agent
//! hands out (RFC 9000, 17.2.2).

use super::packet::{Packet, bounded};

/// Smallest UDP payload that begins a handshake (RFC 9000, 14.1).
const INITIAL: u32 = 1200;
/// What the first byte of an Initial packet is in its upper half, and the version after it.
const INITIAL_TYPE: u8 = 0xc0;
const VERSION: [u8; 4] = [0, 0, 0, 1];
/// Where the length of the destination's connection id lies, and the most that either id has (17.2).
const ID_LENGTH: usize = 5;
const MOST_ID: u8 = 20;
/// The two highest bits of a length of two bytes (16). No token of the agent's is as short, or as long, as
/// that its length would take one byte, or four.
const TWO_BYTES: u8 = 0x40;

/// Whether the UDP payload at `at`, of `len` bytes, begins a handshake of QUIC version 1.
#[inline(always)]
pub fn is_initial<P: Packet>(packet: &P, at: u32, len: u32) -> bool {
    let Some(&[first, version @ ..]) = packet.view::<5>(at as usize) else {
        return false;
    };
    len >= INITIAL && first & 0xf0 == INITIAL_TYPE && version == VERSION
}

/// The first eight bytes of the token of the Initial packet at `at`, in the order of the wire; 0 if it has none
/// that the agent may have handed out.
#[inline(always)]
pub fn token<P: Packet>(packet: &P, at: u32) -> u64 {
    let mut at = bounded(at as usize) + ID_LENGTH;
    // First the id of the destination, then that of the source.
    let mut ids = 2;
    while ids > 0 {
        let Some(&[length, _]) = packet.view::<2>(at) else {
            return 0;
        };
        if length > MOST_ID {
            return 0;
        }
        at = bounded(at + 1 + usize::from(length));
        ids -= 1;
    }
    let Some(&[length, _, ref tag @ ..]) = packet.view::<10>(at) else {
        return 0;
    };
    if length & 0xc0 == TWO_BYTES {
        u64::from_be_bytes(*tag)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::tests::sample::Bytes;

    fn initial(ids: [&[u8]; 2], rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from([0xc3, 0, 0, 0, 1]);
        for id in ids {
            bytes.push(id.len() as u8);
            bytes.extend(id);
        }
        bytes.extend(rest);
        bytes
    }

    fn read(bytes: &[u8]) -> u64 {
        let frame = Bytes {
            bytes,
            vlan: None,
            ifindex: 1,
        };
        token(&frame, 0)
    }

    #[test]
    fn the_front_of_a_token_is_found_behind_ids_of_any_length() {
        let rest = [0x40, 0x52, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for (one, other) in [(0, 0), (8, 0), (20, 20), (0, 20)] {
            let (one, other) = ([0xff; 20][..one].to_vec(), [0xff; 20][..other].to_vec());
            let bytes = initial([&one, &other], &rest);
            assert_eq!(read(&bytes), 0x0102_0304_0506_0708);
            for cut in 0..bytes.len() - 1 {
                assert_eq!(read(&bytes[..cut]), 0, "cut at {cut}");
            }
        }
    }

    #[test]
    fn other_lengths_are_no_token_of_the_agent() {
        for first in [0x00, 0x08, 0x3f, 0x80, 0xc0] {
            let rest = [first, 0x52, 1, 2, 3, 4, 5, 6, 7, 8];
            assert_eq!(read(&initial([&[7; 8], &[]], &rest)), 0, "{first:#x}");
        }
        let rest = [0x40, 0x52, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(read(&initial([&[7; 21], &[]], &rest)), 0, "an id too long");
    }
}
