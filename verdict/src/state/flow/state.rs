//! The states of a flow, and how long each lasts without a packet.

macro_rules! states {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal, $name:literal, $seconds:expr;)+) => {
        /// How far a flow has come. A state ends when no packet arrives for its time.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum State {
            $($(#[$doc])+ $variant = $code,)+
        }

        impl State {
            /// Every state, in the order of the codes.
            pub const ALL: &'static [State] = &[$(State::$variant,)+];

            /// The name in policies, and shown to people; stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(State::$variant => $name,)+
                }
            }

            /// How long it lasts where the policy does not say, seconds.
            #[must_use]
            pub const fn default_seconds(self) -> u32 {
                match self {
                    $(State::$variant => $seconds,)+
                }
            }
        }
    };
}

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

states! {
    /// TCP: the host has sent SYN.
    TcpOpening = 0, "tcp-opening", MINUTE;
    /// TCP: the peer has answered. As long as Linux itself tracks idle connections, and longer than
    /// keepalive waits (2 hours, RFC 9293).
    TcpEstablished = 1, "tcp-established", 5 * DAY;
    /// TCP: one side has sent FIN, or both have.
    TcpClosing = 2, "tcp-closing", 2 * MINUTE;
    /// TCP: one side has sent RST.
    TcpClosed = 3, "tcp-closed", 10;
    /// UDP: the host has sent, and nothing came back yet.
    UdpOpening = 4, "udp-opening", 30;
    /// UDP: the peer has answered. At least 2 minutes, better 5 (RFC 4787).
    UdpEstablished = 5, "udp-established", 5 * MINUTE;
    /// SCTP: the host has sent, and nothing came back yet.
    SctpOpening = 6, "sctp-opening", MINUTE;
    /// SCTP: the peer has answered. Many times longer than between two heartbeats (30 seconds, RFC
    /// 9260).
    SctpEstablished = 7, "sctp-established", HOUR;
    /// SCTP: the association was aborted or shut down.
    SctpClosed = 8, "sctp-closed", 10;
    /// ICMP and ICMPv6: the host has sent an echo request.
    Echo = 9, "echo", 30;
    /// Another protocol: the host has sent, and nothing came back yet.
    OtherOpening = 10, "other-opening", MINUTE;
    /// Another protocol: the peer has answered.
    OtherEstablished = 11, "other-established", 10 * MINUTE;
    /// The first fragment of a datagram has passed. As long as Linux waits for the others.
    Fragments = 12, "fragments", 30;
    /// An endpoint has proven who it is; of no flow, but of a [session](crate::state::sessions). Longer than
    /// that lasts in silence.
    Enrolment = 13, "enrolment", MINUTE;
}

impl State {
    /// Most states that there can be.
    pub const SPACE: usize = 16;

    /// The code, an index below [`State::SPACE`].
    #[inline(always)]
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_from_zero_and_names_are_unique() {
        assert!(State::ALL.len() <= State::SPACE);
        for (code, &state) in (0..).zip(State::ALL) {
            assert_eq!(state.code(), code);
            assert_eq!(State::from_code(code), Some(state));
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
