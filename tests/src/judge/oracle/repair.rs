//! Reads and repairs headers: source address, identification, checksums. With right checksums a
//! stack looks at the rest of a damaged frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::packet::checksum::{Pseudo, internet};

/// Where the network header begins, and its type.
fn network(frame: &[u8]) -> Option<(usize, u16)> {
    let mut at = 14;
    loop {
        match number(frame, at - 2)? {
            0x8100 | 0x88a8 => at += 4,
            kind => return Some((at, kind)),
        }
    }
}

fn number(frame: &[u8], at: usize) -> Option<u16> {
    array(frame, at).map(u16::from_be_bytes)
}

fn array<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

/// The source address of the outermost packet.
pub fn source(frame: &[u8]) -> Option<IpAddr> {
    match network(frame)? {
        (at, 0x0800) => array::<4>(frame, at + 12).map(IpAddr::from),
        (at, 0x86dd) => array::<16>(frame, at + 8).map(IpAddr::from),
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
    // A truncated header stays as it is.
    let _ = correct(frame);
}

fn correct(frame: &mut [u8]) -> Option<()> {
    let length = frame.len();
    match network(frame)? {
        (at, 0x0800) => {
            let header = usize::from(frame.get(at)? & 0x0f) * 4;
            let end = length.min(at + usize::from(number(frame, at + 2)?));
            set(frame.get_mut(at..at + header)?, 10, &[])?;
            let pseudo = Pseudo::V4(
                Ipv4Addr::from(array::<4>(frame, at + 12)?),
                Ipv4Addr::from(array::<4>(frame, at + 16)?),
            );
            let protocol = frame[at + 9];
            transport(frame.get_mut(at + header..end)?, protocol, pseudo)
        }
        (at, 0x86dd) => {
            let end = length.min(at + 40 + usize::from(number(frame, at + 4)?));
            let pseudo = Pseudo::V6(
                Ipv6Addr::from(array::<16>(frame, at + 8)?),
                Ipv6Addr::from(array::<16>(frame, at + 24)?),
            );
            let protocol = frame[at + 6];
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
