//! Transport headers: what the decision needs of TCP, UDP, SCTP, ICMP and ICMPv6.

/// An IP protocol number (IANA).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP (RFC 792).
    pub const ICMP: Self = Self(1);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// SCTP (RFC 9260).
    pub const SCTP: Self = Self(132);

    /// Place among the tables by port: TCP, UDP, SCTP; `None` for protocols without ports.
    #[inline(always)]
    #[must_use]
    pub const fn port_table(self) -> Option<u32> {
        match self {
            Self::TCP => Some(0),
            Self::UDP => Some(1),
            Self::SCTP => Some(2),
            _ => None,
        }
    }

    /// Length of the header without options, bytes; 0 where no header is read.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(self) -> usize {
        match self {
            Self::TCP => 20,
            Self::UDP | Self::ICMP | Self::ICMPV6 => 8,
            Self::SCTP => 12,
            _ => 0,
        }
    }
}

/// Source and destination port: the first four bytes of the header as one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports(u32);

impl Ports {
    /// Of a protocol without ports.
    pub const NONE: Self = Self(0);

    /// The ports in the first four bytes of a transport header.
    #[inline(always)]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// Source port, host byte order.
    #[inline(always)]
    #[must_use]
    pub const fn source(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Destination port, host byte order.
    #[inline(always)]
    #[must_use]
    pub const fn destination(self) -> u16 {
        self.0 as u16
    }
}

/// Offset of the flags in the TCP header, bytes.
pub const TCP_FLAGS: usize = 13;
/// TCP flag SYN.
pub const SYN: u8 = 0x02;
/// TCP flag ACK.
pub const ACK: u8 = 0x10;

/// ICMP types (IANA).
pub mod icmp {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable, with path MTU discovery (RFC 1191).
    pub const UNREACHABLE: u8 = 3;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// ICMPv6 types (IANA).
pub mod icmpv6 {
    /// First and last of the error messages that are defined: unreachable, packet too big, time
    /// exceeded, parameter problem (RFC 4443).
    pub const ERRORS: core::ops::RangeInclusive<u8> = 1..=4;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation and advertisement, neighbour solicitation and advertisement
    /// (RFC 4861). Redirects (137) are not among them.
    pub const DISCOVERY: core::ops::RangeInclusive<u8> = 133..=136;
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn ports_are_read_in_network_order() {
        let ports = Ports::from_bytes([0x12, 0x34, 0x56, 0x78]);
        assert_eq!((ports.source(), ports.destination()), (0x1234, 0x5678));
        assert_eq!((Ports::NONE.source(), Ports::NONE.destination()), (0, 0));
    }
}
