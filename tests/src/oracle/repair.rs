//! Headers of frames: who sent them, and made right again in what a stack checks first, so that it
//! looks at the rest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::checksum::{Pseudo, internet};

/// Where the network header begins, and its type.
fn network(frame: &[u8]) -> Option<(usize, u16)> {
    let mut at = 14;
    loop {
        let kind = u16::from_be_bytes([*frame.get(at - 2)?, *frame.get(at - 1)?]);
        match kind {
            0x8100 | 0x88a8 => at += 4,
            _ => return Some((at, kind)),
        }
    }
}

/// The source address of the outermost packet.
pub fn source(frame: &[u8]) -> Option<IpAddr> {
    match network(frame)? {
        (at, 0x0800) => {
            let source: [u8; 4] = frame.get(at + 12..at + 16)?.try_into().ok()?;
            Some(source.into())
        }
        (at, 0x86dd) => {
            let source: [u8; 16] = frame.get(at + 8..at + 24)?.try_into().ok()?;
            Some(source.into())
        }
        _ => None,
    }
}

/// Gives an IPv4 packet this identification.
pub fn identify(frame: &mut [u8], identification: u16) {
    if let Some((at, 0x0800)) = network(frame)
        && let Some(field) = frame.get_mut(at + 4..at + 6)
    {
        field.copy_from_slice(&identification.to_be_bytes());
    }
}

/// Corrects the checksums of the network header, and of the transport header where it follows at
/// once.
pub fn checksums(frame: &mut [u8]) {
    // Where there is no whole header there is nothing to correct.
    let _ = correct(frame);
}

fn correct(frame: &mut [u8]) -> Option<()> {
    match network(frame)? {
        (at, 0x0800) => {
            let header = usize::from(frame.get(at)? & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes([
                *frame.get(at + 2)?,
                *frame.get(at + 3)?,
            ]));
            set(frame.get_mut(at..at + header)?, 10, &[])?;
            let words: [u8; 8] = frame.get(at + 12..at + 20)?.try_into().ok()?;
            let [a, b, c, d, e, f, g, h] = words;
            let pseudo = Pseudo::V4(Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            let protocol = *frame.get(at + 9)?;
            let end = frame.len().min(at + total);
            transport(frame.get_mut(at + header..end)?, protocol, pseudo)
        }
        (at, 0x86dd) => {
            let source: [u8; 16] = frame.get(at + 8..at + 24)?.try_into().ok()?;
            let destination: [u8; 16] = frame.get(at + 24..at + 40)?.try_into().ok()?;
            let pseudo = Pseudo::V6(Ipv6Addr::from(source), Ipv6Addr::from(destination));
            let length = usize::from(u16::from_be_bytes([
                *frame.get(at + 4)?,
                *frame.get(at + 5)?,
            ]));
            let protocol = *frame.get(at + 6)?;
            let end = frame.len().min(at + 40 + length);
            transport(frame.get_mut(at + 40..end)?, protocol, pseudo)
        }
        _ => None,
    }
}

fn transport(bytes: &mut [u8], protocol: u8, pseudo: Pseudo) -> Option<()> {
    let front = pseudo.bytes(protocol, bytes.len());
    match protocol {
        1 => set(bytes, 2, &[]),
        6 => set(bytes, 16, &front),
        17 => set(bytes, 6, &front),
        58 => set(bytes, 2, &front),
        _ => None,
    }
}

/// Writes the checksum of `front` and `bytes` to its place in `bytes`.
fn set(bytes: &mut [u8], at: usize, front: &[u8]) -> Option<()> {
    bytes.get_mut(at..at + 2)?.fill(0);
    let sum = internet(&[front, bytes]);
    bytes
        .get_mut(at..at + 2)?
        .copy_from_slice(&sum.to_be_bytes());
    Some(())
}
