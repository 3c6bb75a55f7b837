//! Verdicts and their reasons.
//!
//! A reason is a stable code: counters are indexed by it and operators alert on its name. Codes
//! are never reused for another meaning within one [layout version](crate::layout).

/// What happens to a packet; translated to XDP and TC codes only in the entry points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The packet goes on to the network stack.
    Pass,
    /// The packet is discarded.
    Drop,
}

/// First code of the reasons to drop; smaller codes are reasons to pass.
const FIRST_DROP: u8 = 16;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal, $name:literal;)+) => {
        /// Why a packet passed or was dropped.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])+ $variant = $code,)+
        }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The name shown to people and written to logs; stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The destination is not a protected address.
    Unprotected = 0, "unprotected";
    /// Neither IPv4 nor IPv6: ARP, LLDP, LACP, STP, PTP over Ethernet and the like.
    NotIp = 1, "not-ip";
    /// An endpoint with the right role uses a service of a reference point.
    Permitted = 2, "permitted";
    /// Belongs to a connection that the host opened.
    Established = 3, "established";
    /// Neighbour or router discovery that keeps to RFC 4861.
    NeighbourDiscovery = 4, "neighbour-discovery";
    /// A later fragment of a datagram whose first one passed, or may yet.
    Fragment = 5, "fragment";
    /// On its way out: answers an endpoint that uses a service of the host.
    Reply = 6, "reply";
    /// On its way out: the host uses a service of a peer.
    Outbound = 7, "outbound";
    /// An ICMP error about a packet of a flow, or between the host and a permitted peer.
    IcmpError = 8, "icmp-error";
    /// Multicast listener discovery (RFC 3810), IGMP on its way out.
    GroupMembership = 9, "group-membership";
    /// On its way out: answers a peer that an audit has let in, or that has asked a group.
    Answer = 10, "answer";
    /// The policy does not permit it, and a break-glass exemption lets it pass.
    BreakGlass = 11, "break-glass";

    /// No endpoint has the source address.
    UnknownSource = 16, "unknown-source";
    /// The endpoint's role may not use the service.
    WrongRole = 17, "wrong-role";
    /// The endpoint is bound to another MAC address.
    WrongMac = 18, "wrong-mac";
    /// The endpoint is bound to other VLAN tags.
    WrongVlan = 19, "wrong-vlan";
    /// The endpoint is bound to another interface.
    WrongInterface = 20, "wrong-interface";
    /// No reference point offers the protocol and port.
    NoService = 21, "no-service";
    /// The frame ends within the Ethernet header.
    EthernetTruncated = 22, "ethernet-truncated";
    /// The frame ends within a VLAN tag.
    VlanTruncated = 23, "vlan-truncated";
    /// More than two VLAN tags.
    VlanDepth = 24, "vlan-depth";
    /// The frame ends within the IPv4 header.
    Ipv4Truncated = 25, "ipv4-truncated";
    /// IPv4 version, header length or total length contradict each other (RFC 791).
    Ipv4Header = 26, "ipv4-header";
    /// The frame ends within the IPv6 header.
    Ipv6Truncated = 27, "ipv6-truncated";
    /// The version field of an IPv6 header is not 6 (RFC 8200).
    Ipv6Header = 28, "ipv6-header";
    /// The packet ends within an IPv6 extension header.
    ExtensionTruncated = 29, "extension-truncated";
    /// More IPv6 extension headers than are followed, or longer ones.
    ExtensionDepth = 30, "extension-depth";
    /// An IPv6 routing header with segments left (RFC 5095, RFC 8754).
    RoutingHeader = 31, "routing-header";
    /// The packet ends within the TCP, UDP, SCTP or ICMPv6 header.
    TransportTruncated = 32, "transport-truncated";
    /// A first fragment too short for the whole transport header (RFC 1858, RFC 7112).
    FragmentTiny = 33, "fragment-tiny";
    /// A later fragment that would overwrite the transport header (RFC 1858, RFC 3128).
    FragmentOverlap = 34, "fragment-overlap";
    /// A later fragment whose first one is not known, from a source that holds no permission. One whose
    /// first is known is dropped for the reason of that.
    FragmentUnpermitted = 35, "fragment-unpermitted";
    /// Neighbour or listener discovery from beyond the link, by its hop limit (RFC 4861, RFC 3810).
    HopLimit = 36, "hop-limit";
    /// The policy image is missing or inconsistent.
    NoPolicy = 37, "no-policy";
    /// A permitted peer answers, but the host has no such connection open.
    NoFlow = 38, "no-flow";
    /// TCP flags that no segment has, or none of an open connection (RFC 9293).
    TcpFlags = 39, "tcp-flags";
    /// A TCP segment far outside of what the connection expects (RFC 5961).
    OutOfWindow = 40, "out-of-window";
    /// On its way out: no endpoint has the destination address.
    UnknownDestination = 41, "unknown-destination";
    /// On its way out: the table of flows has no room for a new one.
    FlowTableFull = 42, "flow-table-full";
    /// An ICMP error about a packet that neither belongs to a flow nor went to a permitted peer.
    IcmpUnrelated = 43, "icmp-unrelated";
    /// An ICMP redirect: routes are not changed from outside (RFC 4890).
    IcmpRedirect = 44, "icmp-redirect";
    /// Neighbour or listener discovery that breaks RFC 4861 or RFC 3810.
    DiscoveryInvalid = 45, "discovery-invalid";
    /// The endpoint has not proven who it is, or its proof was ended.
    NoLease = 46, "no-lease";
    /// The endpoint's proof has run out.
    LeaseExpired = 47, "lease-expired";
    /// More enrolment datagrams than a proof takes.
    RateLimited = 48, "rate-limited";
    /// An IPv4 option that prescribes the route, loose or strict (RFC 7126).
    SourceRoute = 49, "source-route";
    /// Neighbour or router discovery behind a fragment header (RFC 6980).
    DiscoveryFragmented = 50, "discovery-fragmented";
    /// To an address of the loopback interface, which never comes from a wire (RFC 1122, RFC 4291).
    LoopbackAddress = 51, "loopback-address";
    /// At a socket: the endpoint is bound to VLAN tags or an interface, which cannot be seen there.
    BindingUnseen = 52, "binding-unseen";
    /// The role may use the service, and not at this address or over this interface.
    WrongPlace = 53, "wrong-place";
    /// To the port of enrolment: it belongs to no session, and begins none (RFC 9000, 14.1, 17.2.2).
    NotInitial = 54, "not-initial";
}

impl Reason {
    /// Number of codes that counters reserve for one rule.
    pub const SPACE: u32 = 64;

    /// The code, an index below [`Reason::SPACE`].
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The verdict that belongs to this reason when it is enforced.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        if self.code() < FIRST_DROP {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }

    /// The reason with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
    }
}

/// The decision about one packet, with what it is counted under.
///
/// One word, so that it stays in a register. Its lower half is the index of the verdict counter:
/// reason in bits 0 to 5, audited in bit 6, rule in bits 7 to 15. The upper half is the endpoint.
#[must_use]
#[derive(Clone, Copy, Eq, PartialEq)]
#[repr(transparent)]
pub struct Outcome(pub u64);

impl Outcome {
    /// What is decided when there is no image to decide by.
    pub const NO_POLICY: Self = Self::new(Reason::NoPolicy, false, 0, 0);

    /// Bit of the lower half that says that a drop passes.
    pub const AUDITED: u16 = 1 << Self::AUDITED_SHIFT;
    /// Number of bits below the rule.
    pub const RULE_SHIFT: u32 = Self::AUDITED_SHIFT + 1;

    const AUDITED_SHIFT: u32 = Reason::SPACE.ilog2();

    /// Composes an outcome. `audited` says that a drop passes; `rule` (at most 511) and
    /// `endpoint` are 0 where none governs the packet or sent it.
    #[inline(always)]
    pub const fn new(reason: Reason, audited: bool, rule: u16, endpoint: u32) -> Self {
        let audited = if audited { Self::AUDITED } else { 0 };
        Self::with_rule(reason, (rule << Self::RULE_SHIFT) | audited, endpoint)
    }

    /// Composes an outcome from a rule that is shifted to its bits already, [`Outcome::AUDITED`] included.
    #[inline(always)]
    pub const fn with_rule(reason: Reason, rule: u16, endpoint: u32) -> Self {
        Self(((endpoint as u64) << 32) | (rule | reason.code() as u16) as u64)
    }

    /// The outcome of a packet of `endpoint` that is counted in this [cell](Self::cell).
    #[inline(always)]
    pub const fn in_cell(cell: u16, endpoint: u32) -> Self {
        Self(((endpoint as u64) << 32) | cell as u64)
    }

    /// The outcome in `word`; `None` for an unknown reason.
    #[must_use]
    pub fn from_word(word: u64) -> Option<Self> {
        Reason::from_code(Self(word).code()).map(|_| Self(word))
    }

    /// Index of the verdict counter that the packet is counted in.
    #[inline(always)]
    #[must_use]
    pub const fn cell(self) -> u32 {
        self.0 as u16 as u32
    }

    /// Code of the reason.
    #[inline(always)]
    #[must_use]
    pub const fn code(self) -> u8 {
        (self.0 & (Reason::SPACE as u64 - 1)) as u8
    }

    /// Why.
    #[must_use]
    pub fn reason(self) -> Reason {
        Reason::from_code(self.code()).unwrap_or(Reason::NoPolicy)
    }

    /// The reason says drop, but the mode that governs the packet is audit: it passes.
    #[inline(always)]
    #[must_use]
    pub const fn audited(self) -> bool {
        self.0 as u16 & Self::AUDITED != 0
    }

    /// Rule (service at a reference point) that the packet is counted under; 0 if none.
    #[inline(always)]
    #[must_use]
    pub const fn rule(self) -> u16 {
        self.0 as u16 >> Self::RULE_SHIFT
    }

    /// Endpoint that the packet is counted under; 0 if none.
    #[inline(always)]
    #[must_use]
    pub const fn endpoint(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// This outcome, with its value's origin hidden from the kernel's verifier.
    #[inline(always)]
    pub fn opaque(self) -> Self {
        Self(self.0 >> 16 << 16 | u64::from(core::hint::black_box(self.0 as u16)))
    }

    /// Whether a rule governs the packet, and no audit lets it pass: what does pass, the rule permits.
    #[inline(always)]
    #[must_use]
    pub const fn is_ruled(self) -> bool {
        self.rule() != 0 && !self.audited()
    }

    /// Whether the reason says drop, also where an audit lets it pass.
    #[inline(always)]
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.0 & (Reason::SPACE as u64 - 1) >= FIRST_DROP as u64
    }

    /// This outcome with another reason.
    #[inline(always)]
    pub const fn because(self, reason: Reason) -> Self {
        Self(self.0 & !(Reason::SPACE as u64 - 1) | reason.code() as u64)
    }

    /// This outcome without the mark of an audit.
    #[inline(always)]
    pub const fn unaudited(self) -> Self {
        Self(self.0 & !(Self::AUDITED as u64))
    }

    /// This outcome if its drop is only counted: what is to be dropped passes, and is marked.
    #[inline(always)]
    pub const fn in_audit(self) -> Self {
        match self.verdict() {
            Verdict::Drop => Self(self.0 | Self::AUDITED as u64),
            Verdict::Pass => self,
        }
    }

    /// The verdict in force.
    #[inline(always)]
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        // Reasons to pass, and whatever is audited, are outside of these codes.
        let code = self.0 & ((Reason::SPACE as u64 - 1) | Self::AUDITED as u64);
        if code.wrapping_sub(FIRST_DROP as u64) < (Reason::SPACE - FIRST_DROP as u32) as u64 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }
}

impl core::fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Outcome")
            .field("reason", &self.reason())
            .field("audited", &self.audited())
            .field("rule", &self.rule())
            .field("endpoint", &self.endpoint())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fit_the_counters_and_names_are_unique() {
        let mut names = std::collections::HashSet::new();
        for &reason in Reason::ALL {
            assert!(u32::from(reason.code()) < Reason::SPACE);
            assert!(names.insert(reason.name()), "{} twice", reason.name());
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }

    #[test]
    fn a_reason_drops_or_passes() {
        let of = |verdict| {
            Reason::ALL
                .iter()
                .filter(move |reason| reason.verdict() == verdict)
        };
        let last = of(Verdict::Pass).map(|reason| reason.code()).max();
        assert!(last.is_some_and(|last| last < Reason::UnknownSource.code()));
        let first = of(Verdict::Drop).map(|reason| reason.code()).min();
        assert_eq!(first, Some(Reason::UnknownSource.code()));
        for &reason in Reason::ALL {
            let outcome = Outcome::new(reason, false, 1, 1);
            assert_eq!(outcome.verdict(), reason.verdict());
            assert_eq!(Outcome::new(reason, true, 1, 1).verdict(), Verdict::Pass);
            assert_eq!(outcome.opaque(), outcome);
            let audited = Outcome::new(reason, true, 1, 1);
            let refusals = (outcome.is_refusal(), audited.is_refusal());
            let refused = reason.verdict() == Verdict::Drop;
            assert_eq!(refusals, (refused, refused));
        }
    }

    #[test]
    fn an_audited_drop_passes() {
        assert_eq!(
            Outcome::new(Reason::WrongRole, true, 1, 1).verdict(),
            Verdict::Pass
        );
        assert_eq!(
            Outcome::new(Reason::WrongRole, false, 1, 1).verdict(),
            Verdict::Drop
        );
    }

    #[test]
    fn an_outcome_keeps_its_parts() {
        let outcome = Outcome::new(Reason::WrongMac, true, 511, 0xffff_ffff);
        assert_eq!(
            (
                outcome.reason(),
                outcome.audited(),
                outcome.rule(),
                outcome.endpoint()
            ),
            (Reason::WrongMac, true, 511, 0xffff_ffff)
        );
        assert_eq!(Outcome::from_word(outcome.0), Some(outcome));
        assert_eq!(Outcome::from_word(0xff), None);
    }
}
