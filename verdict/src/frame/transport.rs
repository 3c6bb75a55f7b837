//! Transport headers: what the decision needs of TCP, UDP and SCTP.

use super::packet::Packet;
use crate::reason::Reason;

/// An IP protocol number (IANA).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP (RFC 792).
    pub const ICMP: Self = Self(1);
    /// IGMP (RFC 3376).
    pub const IGMP: Self = Self(2);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// SCTP (RFC 9260).
    pub const SCTP: Self = Self(132);

    /// Index among the tables by port: TCP, UDP, SCTP; `None` for protocols without ports.
    #[inline(always)]
    #[must_use]
    pub const fn port_table(self) -> Option<u32> {
        self.transport().0
    }

    /// Length of the header without options, bytes; 0 where no header is read.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(self) -> usize {
        self.transport().1
    }

    /// [`IpProtocol::port_table`] and [`IpProtocol::header_len`].
    #[inline(always)]
    #[must_use]
    pub const fn transport(self) -> (Option<u32>, usize) {
        match self {
            Self::TCP => (Some(0), 20),
            Self::UDP => (Some(1), 8),
            Self::SCTP => (Some(2), 12),
            Self::ICMP | Self::ICMPV6 => (None, 8),
            _ => (None, 0),
        }
    }
}

/// TCP flag FIN.
pub const FIN: u8 = 0x01;
/// TCP flag SYN.
pub const SYN: u8 = 0x02;
/// TCP flag RST.
pub const RST: u8 = 0x04;
/// TCP flag ACK.
pub const ACK: u8 = 0x10;
/// TCP flag URG.
const URG: u8 = 0x20;

/// The combinations of the flags FIN, SYN, RST, PSH, ACK and URG that segments have (RFC 9293), a bit
/// for each: SYN opens; all other but RST have ACK; RST and SYN stand without FIN, unless a server
/// that answers at once ends its side, too (RFC 7413). PSH goes with all.
const SENSIBLE_FLAGS: u64 = {
    let mut sensible = 0;
    let mut flags: u8 = 0;
    while flags < 64 {
        let is_sensible = match flags & (FIN | SYN | RST | ACK | URG) {
            SYN | SYN_URG | SYN_ACK | SYN_ACK_FIN | RST | RST_ACK => true,
            others => others & (SYN | RST | ACK) == ACK,
        };
        if is_sensible {
            sensible |= 1 << flags;
        }
        flags += 1;
    }
    sensible
};

const SYN_URG: u8 = SYN | URG;
const SYN_ACK: u8 = SYN | ACK;
const SYN_ACK_FIN: u8 = SYN | ACK | FIN;
const RST_ACK: u8 = RST | ACK;

/// Length of both ports, bytes.
pub const PORTS_LEN: usize = 4;

/// Length of the part of a TCP header that is read, from its start to the flags.
const TCP_READ: usize = 14;
/// Length of the part of an SCTP packet that is read: the header and the type of the first chunk.
const SCTP_READ: usize = 14;

/// SCTP chunk type that opens an association: INIT (RFC 9260).
const SCTP_OPENS: u8 = 1;
/// SCTP chunk types that end an association: ABORT, SHUTDOWN COMPLETE (RFC 9260).
const SCTP_ENDS: [u8; 2] = [6, 14];

/// What a packet says about its connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Segment {
    /// TCP flags. Of SCTP, SYN where the packet opens the association, RST where it ends it. 0 of all
    /// others.
    pub flags: u8,
    /// TCP sequence number, host byte order.
    pub sequence: u32,
    /// TCP acknowledgement number, host byte order.
    pub acknowledgement: u32,
}

impl Segment {
    /// Whether any of `flags` is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Whether some segment of TCP has these flags.
    #[inline(always)]
    #[must_use]
    pub const fn is_sensible(self) -> bool {
        SENSIBLE_FLAGS >> (self.flags & 0x3f) & 1 != 0
    }

    /// Whether this opens a TCP connection, or an SCTP association.
    #[inline(always)]
    #[must_use]
    pub const fn opens(self) -> bool {
        self.flags & (SYN | ACK | RST) == SYN
    }

    /// Whether this is a segment of an open TCP connection.
    #[inline(always)]
    #[must_use]
    pub const fn continues(self) -> bool {
        self.flags & (SYN | ACK | RST) == ACK
    }
}

/// What the transport header at `at` says about the connection.
///
/// # Errors
///
/// [`Reason::TransportTruncated`] if the frame ends too early to tell.
#[inline(always)]
pub fn segment<P: Packet>(packet: &P, protocol: IpProtocol, at: usize) -> Result<Segment, Reason> {
    let mut segment = Segment::default();
    match protocol {
        IpProtocol::TCP => {
            let Some(header) = packet.view::<TCP_READ>(at) else {
                return Err(Reason::TransportTruncated);
            };
            segment.sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            segment.acknowledgement =
                u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
            segment.flags = header[13];
        }
        IpProtocol::SCTP => {
            if let Some(header) = packet.view::<SCTP_READ>(at) {
                segment.flags = match header[12] {
                    SCTP_OPENS => SYN,
                    chunk if SCTP_ENDS.contains(&chunk) => RST,
                    _ => 0,
                };
            }
        }
        _ => {}
    }
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn a_segment_says_what_its_header_does() {
        let mut header = [0; 20];
        for (byte, value) in header.iter_mut().zip(0x80..) {
            *byte = value;
        }
        let read = |protocol, len: usize| {
            let bytes = [&[0; 3], &header[..len]].concat();
            segment(&sample::bytes(&bytes), protocol, 3)
        };
        let tcp = Segment {
            flags: 0x8d,
            sequence: 0x8485_8687,
            acknowledgement: 0x8889_8a8b,
        };
        assert_eq!(read(IpProtocol::TCP, 14), Ok(tcp));
        let truncated = Err(Reason::TransportTruncated);
        assert_eq!(read(IpProtocol::TCP, 13), truncated);
        assert_eq!(read(IpProtocol::UDP, 0), Ok(Segment::default()));
    }

    #[test]
    fn flags_make_sense_or_not() {
        let sensible = |flags| {
            Segment {
                flags,
                ..Segment::default()
            }
            .is_sensible()
        };
        let known: std::vec::Vec<u8> = (0..64)
            .filter(|flags| flags & 0x08 == 0)
            .filter(|&flags| sensible(flags))
            .collect();
        assert_eq!(
            known,
            [0x02, 0x04, 0x10, 0x11, 0x12, 0x13, 0x14, 0x22, 0x30, 0x31]
        );
        for flags in 0..64 {
            // PSH, ECE and CWR go with all.
            for more in [0x08, 0x40, 0x80, 0xc8] {
                assert_eq!(
                    sensible(flags | more),
                    sensible(flags & !more),
                    "{flags:#x}"
                );
            }
        }
    }

    #[test]
    fn an_association_opens_and_ends_with_its_first_chunk() {
        let flags = |chunk, len: usize| {
            let mut header = [0; 16];
            header[12] = chunk;
            let read = segment(&sample::bytes(&header[..len]), IpProtocol::SCTP, 0);
            read.expect("what is short says nothing").flags
        };
        for chunk in 0..=u8::MAX {
            let expected = match chunk {
                1 => SYN,
                6 | 14 => RST,
                _ => 0,
            };
            assert_eq!(flags(chunk, 16), expected, "{chunk}");
        }
        assert_eq!((flags(6, 14), flags(6, 13)), (RST, 0));
    }

    #[test]
    fn three_transports_have_tables_by_port() {
        for protocol in 0..=u8::MAX {
            let expected = match protocol {
                6 => Some(0),
                17 => Some(1),
                132 => Some(2),
                _ => None,
            };
            assert_eq!(IpProtocol(protocol).port_table(), expected);
        }
    }
}
