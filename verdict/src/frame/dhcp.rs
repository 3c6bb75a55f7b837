//! DHCP (RFC 2131): what a server sends to a client, which may have no address yet.

use super::{ethernet::mac_word, packet::Packet, transport::IpProtocol};

/// Source port 67, destination port 68.
const TO_CLIENT: [u8; 4] = [0, 67, 0, 68];
/// Offset of the client's hardware address from the UDP header on, bytes.
const CLIENT_ADDRESS: usize = 8 + 28;

/// Bit of a [`client`] that says that there is one.
pub const CLIENT: u64 = 1 << 48;

/// Whether an IPv4 packet of this protocol can be from a server to a client; `ports` are what follows a
/// header without options.
#[inline(always)]
#[must_use]
pub const fn may_be_answer(first: u8, protocol: u8, ports: [u8; 4]) -> bool {
    // What has options is looked at later.
    protocol == IpProtocol::UDP.0
        && (u32::from_be_bytes(ports) == u32::from_be_bytes(TO_CLIENT) || first != 0x45)
}

/// The MAC address of the client that the IPv4 packet at `at` is for, first byte of the wire highest, and
/// [`CLIENT`]; 0 if it is none from a server to a client.
#[inline(always)]
pub fn client<P: Packet>(packet: &P, at: u32) -> u64 {
    let at = at as usize;
    let Some(header) = packet.view::<20>(at) else {
        return 0;
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if header[0] >> 4 != 4 || header_len < 20 || header[9] != IpProtocol::UDP.0 || offset != 0 {
        return 0;
    }
    let udp = at + header_len;
    if packet.view::<4>(udp) != Some(&TO_CLIENT) {
        return 0;
    }
    match packet.view::<6>(udp + CLIENT_ADDRESS) {
        Some(&address) => CLIENT | mac_word(address),
        None => 0,
    }
}
