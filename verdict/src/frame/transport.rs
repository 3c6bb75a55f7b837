//! Transport headers: what the decision needs of TCP, UDP and SCTP.

use core::hint::black_box;

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

/// Length of both ports, bytes.
pub const PORTS_LEN: usize = 4;

/// Length of the part of a TCP header that is read, from its start to the flags.
const TCP_READ: usize = 14;
/// Length of the part of an SCTP packet that is read: the header, and type and flags of the first chunk.
const SCTP_READ: usize = 14;
/// The same of one that opens an association: to the end of the initiate tag.
const SCTP_INIT_READ: usize = 20;

/// SCTP chunk types INIT and INIT ACK, which carry an initiate tag (RFC 9260).
const SCTP_INITS: [u8; 2] = [1, 2];
/// SCTP chunk types that end an association: ABORT, SHUTDOWN COMPLETE (RFC 9260).
const SCTP_ENDS: [u8; 2] = [6, 14];
/// Bit T of these (RFC 9260, 3.3.7): the sender has no tag of its own, and reflects the one that was sent to it.
const SCTP_REFLECTED: u8 = 1;

/// Of SCTP: the packet that ends an association carries the tag of packets to its sender. PSH of TCP.
pub const TAG_REFLECTED: u8 = 0x08;

/// What a packet says about its connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Segment {
    /// TCP flags. Of SCTP, SYN where the packet opens the association (with ACK: answers that), RST where
    /// it ends it (with [`TAG_REFLECTED`]). 0 of all others.
    pub flags: u8,
    /// TCP sequence number, host byte order. Of SCTP, the verification tag.
    pub sequence: u32,
    /// TCP acknowledgement number, host byte order. Of SCTP, the initiate tag.
    pub acknowledgement: u32,
    /// TCP sequence number of what follows on this segment.
    pub next: u32,
}

impl Segment {
    /// Whether any of `flags` is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.flags & flags != 0
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

    /// This segment, with its flags' origin hidden from the kernel's verifier: otherwise it would follow
    /// what comes next once for every kind of packet.
    #[inline(always)]
    #[must_use]
    pub fn opaque(self) -> Self {
        Self {
            flags: black_box(self.flags),
            ..self
        }
    }

    /// SCTP: the verification tag.
    #[inline(always)]
    #[must_use]
    pub const fn tag(self) -> u32 {
        self.sequence
    }

    /// SCTP: the tag that packets to the sender of an INIT or INIT ACK carry; 0 of all others.
    #[inline(always)]
    #[must_use]
    pub const fn initiate_tag(self) -> u32 {
        self.acknowledgement
    }
}

/// The number in four bytes of `header`.
#[inline(always)]
fn number<const AT: usize>(header: &[u8]) -> u32 {
    match header.split_at_checked(AT) {
        Some((_, rest)) => rest
            .first_chunk()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes)),
        None => 0,
    }
}

/// What the transport header at `at`, with `len` bytes from there on, says about the connection.
///
/// # Errors
///
/// [`Reason::TransportTruncated`] if the frame ends too early to tell.
#[inline(always)]
pub fn segment<P: Packet>(
    packet: &P,
    protocol: IpProtocol,
    at: usize,
    len: u32,
) -> Result<Segment, Reason> {
    let mut segment = Segment::default();
    match protocol {
        IpProtocol::TCP => {
            let Some(header) = packet.view::<TCP_READ>(at) else {
                return Err(Reason::TransportTruncated);
            };
            segment.sequence = number::<4>(header);
            segment.acknowledgement = number::<8>(header);
            segment.flags = header[13];
            let data = len.wrapping_sub(u32::from(header[12] >> 4) * 4);
            // SYN and FIN count as one byte each.
            let counted = (segment.flags & FIN) + (segment.flags >> 1 & 1);
            segment.next = segment
                .sequence
                .wrapping_add(data)
                .wrapping_add(u32::from(counted));
        }
        IpProtocol::SCTP => {
            if let Some(header) = packet.view::<SCTP_READ>(at) {
                let chunk = header[12];
                segment.sequence = number::<4>(header);
                if SCTP_ENDS.contains(&chunk) {
                    let reflected = header[13] & SCTP_REFLECTED != 0;
                    segment.flags = if reflected { RST | TAG_REFLECTED } else { RST };
                } else if SCTP_INITS.contains(&chunk)
                    && let Some(init) = packet.view::<SCTP_INIT_READ>(at)
                {
                    segment.flags = if chunk == SCTP_INITS[0] {
                        SYN
                    } else {
                        SYN | ACK
                    };
                    segment.acknowledgement = number::<16>(init);
                }
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
            segment(&sample::bytes(&bytes), protocol, 3, 100)
        };
        let tcp = Segment {
            flags: 0x8d,
            sequence: 0x8485_8687,
            acknowledgement: 0x8889_8a8b,
            // 100 bytes, of which the header takes eight words, and FIN.
            next: 0x8485_8687 + 100 - 32 + 1,
        };
        assert_eq!(read(IpProtocol::TCP, 14), Ok(tcp));
        let truncated = Err(Reason::TransportTruncated);
        assert_eq!(read(IpProtocol::TCP, 13), truncated);
        assert_eq!(read(IpProtocol::UDP, 0), Ok(Segment::default()));
    }

    #[test]
    fn an_association_opens_and_ends_with_its_first_chunk() {
        let flags = |chunk, len: usize| {
            let mut header = [0; 20];
            header[12] = chunk;
            let read = segment(&sample::bytes(&header[..len]), IpProtocol::SCTP, 0, 16);
            read.expect("what is short says nothing").flags
        };
        for chunk in 0..=u8::MAX {
            let expected = match chunk {
                1 => SYN,
                2 => SYN | ACK,
                6 | 14 => RST,
                _ => 0,
            };
            assert_eq!(flags(chunk, 20), expected, "{chunk}");
        }
        assert_eq!((flags(6, 14), flags(6, 13), flags(1, 19)), (RST, 0, 0));
    }

    #[test]
    fn an_association_has_tags() {
        let read = |chunk: u8, flags: u8| {
            let mut header = [0; 20];
            header[4..8].copy_from_slice(&[1, 2, 3, 4]);
            header[12..14].copy_from_slice(&[chunk, flags]);
            header[16..].copy_from_slice(&[5, 6, 7, 8]);
            segment(&sample::bytes(&header), IpProtocol::SCTP, 0, 20).expect("a whole packet")
        };
        for (chunk, initiate) in [(1, 0x0506_0708), (2, 0x0506_0708), (0, 0), (6, 0)] {
            let segment = read(chunk, 0);
            assert_eq!(
                (segment.tag(), segment.initiate_tag()),
                (0x0102_0304, initiate)
            );
        }
        assert_eq!(
            (read(6, 1).flags, read(6, 2).flags),
            (RST | TAG_REFLECTED, RST)
        );
        assert_eq!(read(14, 1).flags, RST | TAG_REFLECTED);
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
