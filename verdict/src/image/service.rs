//! Services: what a packet asks for, and under which rule a role may have it.

use core::hint::black_box;

use super::{
    fixed::{SERVICE_WORDS, SERVICES},
    header::Header,
    line::{Missing, PER_LINE_16, PER_LINE_32, Tables},
};
use crate::{
    frame::{
        address::{Family, family},
        transport::IpProtocol,
    },
    reason::{Outcome, Reason},
};

/// Services in one image, service 0 ("none") included.
pub const MAX_SERVICES: u32 = 1024;

/// Lines that the rules of one service in one direction take: one 16-bit rule for each of 64 roles.
pub const LINES: u32 = 64 / PER_LINE_16;

/// Lines that all rules of one service take: inbound, then outbound.
pub const LINES_PER_SERVICE: u32 = 2 * LINES;

/// Codes of an ICMP type that are told apart: 0 to 14, and all above as one.
pub const ICMP_CODES: u32 = 16;

/// Words of the types and codes of ICMP, or of ICMPv6.
pub(super) const ICMP_WORDS: u32 = 256 * ICMP_CODES;

/// Where services are listed: a port of TCP, UDP or SCTP, a type and code of ICMP or ICMPv6, or another
/// IP protocol. It is the 32-bit word
/// of the image that tells the [`Service`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceKey(u32);

impl ServiceKey {
    const FIRST: u32 = SERVICES * PER_LINE_32;
    const PORTS: u32 = 65_536;
    const PROTOCOLS: u32 = Self::FIRST + 3 * Self::PORTS;
    const ICMP: u32 = Self::PROTOCOLS + 256;

    /// A key without a service.
    pub const NONE: Self = Self(Self::FIRST + SERVICE_WORDS - 1);

    /// A port of the transport with [`IpProtocol::port_table`] `table`.
    ///
    /// Ports lie in the order of their bytes on the wire, so that those of packets need not be
    /// byte-swapped: older kernels would lose their bounds, too.
    #[inline(always)]
    #[must_use]
    pub const fn port(table: u32, port: u16) -> Self {
        Self(Self::FIRST + table * Self::PORTS + port.to_be() as u32)
    }

    /// A type and code of the family's ICMP.
    #[inline(always)]
    #[must_use]
    pub const fn icmp<A: Family>(kind: u8, code: u8) -> Self {
        let code = if (code as u32) < ICMP_CODES {
            code as u32
        } else {
            ICMP_CODES - 1
        };
        let first = Self::ICMP + family::<A>() as u32 * ICMP_WORDS;
        Self(first + kind as u32 * ICMP_CODES + code)
    }

    /// A protocol without ports, other than the family's ICMP.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(protocol: IpProtocol) -> Self {
        Self(Self::PROTOCOLS + protocol.0 as u32)
    }

    /// This key, with its value's origin hidden from the kernel's verifier.
    #[inline(always)]
    #[must_use]
    pub fn opaque(self) -> Self {
        Self(black_box(self.0))
    }

    /// The number of the word, counted from the start of the image.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }
}

/// What is served under a [`ServiceKey`]: number of the service in bits 0 to 9, and in which directions.
///
/// What anyone may use is kept for the role [`GOVERNING`], which no endpoint has.
///
/// The service that a port belongs to inbound may be another than outbound; each pair that occurs
/// has a number. Bits 16 to 31 are the rule that governs those who may not use the service inbound,
/// so that a packet of a stranger asks no further line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service(pub u32);

impl Service {
    const TO_ANYONE: u32 = 1 << 10;
    const FROM_ANYONE: u32 = 1 << 11;
    const ENROLMENT: u32 = 1 << 12;
    const OUTBOUND: u32 = 1 << 13;
    const INBOUND: u32 = 1 << 14;
    const GOVERNING_SHIFT: u32 = 16;

    /// None.
    pub const NONE: Self = Self(0);

    /// Composes a service that roles may use under rules of which `inbound` governs all others, if
    /// any may, and that the host may use of roles if `outbound`.
    #[must_use]
    pub const fn new(number: u16, inbound: Option<Rule>, outbound: bool) -> Self {
        match inbound {
            Some(governing) => Self::composed(number, Self::INBOUND, governing, outbound),
            None => Self::composed(number, 0, Rule::NONE, outbound),
        }
    }

    /// The service with which endpoints prove who they are.
    #[must_use]
    pub const fn enrolment(number: u16, inbound: Rule, outbound: bool) -> Self {
        Self::composed(number, Self::ENROLMENT, inbound, outbound)
    }

    const fn composed(number: u16, kind: u32, governing: Rule, outbound: bool) -> Self {
        let outbound = if outbound { Self::OUTBOUND } else { 0 };
        let governing = (governing.0 as u32) << Self::GOVERNING_SHIFT;
        Self(number as u32 | kind | outbound | governing)
    }

    /// This service, which anyone may use inbound, and which the host may use of anyone.
    #[must_use]
    pub const fn of_anyone(self, inbound: bool, outbound: bool) -> Self {
        let inbound = if inbound { Self::FROM_ANYONE } else { 0 };
        let outbound = if outbound { Self::TO_ANYONE } else { 0 };
        Self(self.0 | inbound | outbound)
    }

    /// Whether anyone may connect to the host, also who is no endpoint.
    #[inline(always)]
    #[must_use]
    pub const fn is_from_anyone(self) -> bool {
        self.0 & Self::FROM_ANYONE != 0
    }

    /// Whether the endpoint `id` may be one that the host may connect to: there is one, or the host may
    /// connect to anyone.
    #[inline(always)]
    #[must_use]
    pub const fn concerns(self, id: u32) -> bool {
        id != 0 || self.0 & Self::TO_ANYONE != 0
    }

    /// Whether endpoints prove with it who they are.
    #[inline(always)]
    #[must_use]
    pub const fn is_enrolment(self) -> bool {
        self.0 & Self::ENROLMENT != 0
    }

    /// The service under `key`.
    #[inline(always)]
    pub fn at<T: Tables>(tables: &T, key: ServiceKey) -> Result<Self, Missing> {
        Ok(Self(tables.fixed32(key.0)?))
    }

    /// The service under a `key` that was worked out some time before.
    #[inline(always)]
    pub fn at_kept<T: Tables>(tables: &T, key: ServiceKey) -> Result<Self, Missing> {
        Ok(Self(tables.fixed32_kept(key.0)?))
    }

    /// Number, below [`MAX_SERVICES`].
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u16 {
        (self.0 & (MAX_SERVICES - 1)) as u16
    }

    /// The rule that governs those who may not use this inbound.
    #[inline(always)]
    #[must_use]
    pub const fn governing(self) -> Rule {
        Rule((self.0 >> Self::GOVERNING_SHIFT) as u16)
    }

    /// Whether roles may connect to the host.
    #[inline(always)]
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        self.0 & (Self::INBOUND | Self::ENROLMENT) != 0
    }

    /// Whether roles may connect to the host for anything else than to prove who they are.
    #[inline(always)]
    #[must_use]
    pub const fn is_offered(self) -> bool {
        self.0 & Self::INBOUND != 0
    }

    /// Whether the host may connect to roles.
    #[inline(always)]
    #[must_use]
    pub const fn is_outbound(self) -> bool {
        self.0 & Self::OUTBOUND != 0
    }

    /// Where the rule for `role` lies, in 16-bit values from the first rule.
    #[inline(always)]
    #[must_use]
    pub fn inbound_index(self, role: u8) -> u32 {
        u32::from(self.number()) * LINES_PER_SERVICE * PER_LINE_16 + u32::from(role & 63)
    }

    /// The same of the rule for what the host uses at `role`.
    #[inline(always)]
    #[must_use]
    pub fn outbound_index(self, role: u8) -> u32 {
        self.inbound_index(role) + LINES * PER_LINE_16
    }

    /// The rule under which `role` may use this inbound; number 0 if it may not.
    #[inline(always)]
    pub fn inbound<T: Tables>(
        self,
        tables: &T,
        header: Header<'_>,
        role: u8,
    ) -> Result<Rule, Missing> {
        self.rule(tables, header.rules(), role)
    }

    /// The rule under which the host may use this at `role`; number 0 if it may not.
    #[inline(always)]
    pub fn outbound<T: Tables>(
        self,
        tables: &T,
        header: Header<'_>,
        role: u8,
    ) -> Result<Rule, Missing> {
        self.rule(tables, header.rules() + u64::from(LINES), role)
    }

    #[inline(always)]
    fn rule<T: Tables>(self, tables: &T, first: u64, role: u8) -> Result<Rule, Missing> {
        let base = first + u64::from(u32::from(self.number()) * LINES_PER_SERVICE);
        Ok(Rule(tables.value16(base, u32::from(role & 63))?))
    }
}

/// A rule of a service: its number, and whether its reference point is in mode audit, in the bits
/// where an [`Outcome`] has them; in bits 0 to 5, where that has the reason, the [place](super::place)
/// that the rule is limited to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule(pub u16);

impl Rule {
    const PLACE: u16 = (1 << (Outcome::RULE_SHIFT - 1)) - 1;

    /// No rule.
    pub const NONE: Self = Self(0);

    /// Composes a rule; `id` is 1 to 511.
    #[must_use]
    pub const fn new(id: u16, audit: bool) -> Self {
        Self((id << Outcome::RULE_SHIFT) | if audit { Outcome::AUDITED } else { 0 })
    }

    /// This rule, limited to `place`.
    #[must_use]
    pub const fn at(self, place: u16) -> Self {
        Self(self.0 | place & Self::PLACE)
    }

    /// The place that the rule is limited to, 0 for none.
    #[inline(always)]
    #[must_use]
    pub const fn place(self) -> u32 {
        (self.0 & Self::PLACE) as u32
    }

    /// Whether the rule is limited to a place; its packets are to be [looked at](super::place::choose).
    #[inline(always)]
    #[must_use]
    pub const fn is_placed(self) -> bool {
        self.0 & Self::PLACE != 0
    }

    /// This rule without a place.
    #[inline(always)]
    #[must_use]
    pub const fn anywhere(self) -> Self {
        Self(self.0 & !Self::PLACE)
    }

    /// This rule, for a packet that is at none of the places it is limited to.
    #[inline(always)]
    #[must_use]
    pub const fn elsewhere(self) -> Self {
        Self(self.0 | Self::PLACE)
    }

    /// Whether a packet is at none of the places that the rule is limited to.
    #[inline(always)]
    #[must_use]
    pub const fn is_elsewhere(self) -> bool {
        self.is_placed()
    }

    /// Number of the rule; 0 if there is none.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u16 {
        self.0 >> Outcome::RULE_SHIFT
    }

    /// The outcome for a packet that the rule permits, for `reason`.
    #[inline(always)]
    pub const fn permit(self, reason: Reason, endpoint: u32) -> Outcome {
        Outcome::with_rule(reason, self.0 & !(Outcome::AUDITED | Self::PLACE), endpoint)
    }

    /// The outcome for a packet that violates the rule, in the mode of its reference point.
    #[inline(always)]
    pub const fn violated(self, reason: Reason, endpoint: u32) -> Outcome {
        Outcome::with_rule(reason, self.0 & !Self::PLACE, endpoint)
    }
}

/// The role number under which a service keeps the rule for anyone, and outbound, where there is none,
/// the rule that governs those of whom the host may not use it; for the other direction there is
/// [`Service::governing`].
pub const GOVERNING: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::address::{Ipv4, Ipv6};
    use crate::image::fixed::SEGMENTS;
    use crate::tests::sample::{GRE, NTP, OUTBOUND, SSH, WATCHED, image, served};

    #[test]
    fn a_service_is_found_by_its_own_transport_and_port() {
        let image = image(false);
        let at = |key| Service::at(&image, key).expect("all lines");
        assert_eq!(at(ServiceKey::port(0, SSH)), served(1, false));
        assert_eq!(at(ServiceKey::port(1, WATCHED)), served(2, true));
        assert_eq!(at(ServiceKey::port(1, NTP)), OUTBOUND);
        for (table, port) in [
            (1, SSH),
            (2, SSH),
            (0, WATCHED),
            (0, SSH + 1),
            (2, u16::MAX),
        ] {
            assert_eq!(at(ServiceKey::port(table, port)), Service::NONE);
        }
        for protocol in 0..=u8::MAX {
            let expected = match protocol {
                GRE => served(3, false),
                _ => Service::NONE,
            };
            assert_eq!(at(ServiceKey::protocol(IpProtocol(protocol))), expected);
        }
        for (kind, expected) in [(8, OUTBOUND), (0, OUTBOUND), (13, Service::NONE)] {
            assert_eq!(at(ServiceKey::icmp::<Ipv4>(kind, 0)), expected);
            assert_eq!(at(ServiceKey::icmp::<Ipv6>(kind, 0)), Service::NONE);
        }
        assert_eq!(at(ServiceKey::icmp::<Ipv6>(128, u8::MAX)), OUTBOUND);
        assert_eq!(at(ServiceKey::NONE), Service::NONE);
    }

    #[test]
    fn every_place_is_another() {
        let ports = (0..3)
            .flat_map(|table| [0, 256, 1, u16::MAX].map(|port| ServiceKey::port(table, port)));
        let protocols = (0..=u8::MAX).map(|protocol| ServiceKey::protocol(IpProtocol(protocol)));
        let codes = || {
            let kinds = [0, 1, u8::MAX];
            kinds
                .into_iter()
                .flat_map(|kind| (0..16).map(move |code| (kind, code)))
        };
        let icmp = codes().map(|(kind, code)| ServiceKey::icmp::<Ipv4>(kind, code));
        let icmpv6 = codes().map(|(kind, code)| ServiceKey::icmp::<Ipv6>(kind, code));
        let keys: std::vec::Vec<u32> = ports
            .chain(protocols)
            .chain(icmp)
            .chain(icmpv6)
            .chain([ServiceKey::NONE])
            .map(|key| {
                assert_eq!(key.opaque(), key);
                key.word()
            })
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        let highest = ServiceKey::icmp::<Ipv6>(u8::MAX, 15);
        assert_eq!(ServiceKey::icmp::<Ipv6>(u8::MAX, u8::MAX), highest);
        let line = |key: ServiceKey| key.word() / PER_LINE_32;
        assert_eq!(line(ServiceKey::port(0, 0)), SERVICES);
        assert_eq!(line(ServiceKey::NONE), SEGMENTS - 1);
    }

    #[test]
    fn an_enrolment_is_a_service_for_peers() {
        for outbound in [false, true] {
            let rule = Rule::new(511, true);
            let service = Service::enrolment(7, rule, outbound);
            assert!(service.is_enrolment() && service.is_inbound());
            assert_eq!((service.number(), service.is_outbound()), (7, outbound));
            assert_eq!(service.governing(), rule);
            assert!(!Service::new(7, Some(rule), outbound).is_enrolment());
        }
    }

    #[test]
    fn rules_of_all_roles_fill_their_lines() {
        assert_eq!(LINES * PER_LINE_16, 64);
        assert_eq!(LINES_PER_SERVICE, LINES + LINES);
    }

    #[test]
    fn a_rule_belongs_to_service_direction_and_role() {
        let image = image(false);
        let header = Header::of(&image).expect("a header");
        let inbound = |number, role| {
            let service = Service::new(number, Some(Rule::NONE), true);
            service.inbound(&image, header, role).map(Rule::id)
        };
        let outbound = |number, role| {
            let service = Service::new(number, Some(Rule::NONE), true);
            service.outbound(&image, header, role).map(Rule::id)
        };
        assert_eq!(
            (inbound(1, 1), inbound(1, 2), outbound(4, GOVERNING)),
            (Ok(1), Ok(0), Ok(4))
        );
        assert_eq!((inbound(2, 1), inbound(2, 2)), (Ok(0), Ok(2)));
        assert_eq!(inbound(1, 64 + 1), Ok(1), "roles have six bits");
        assert_eq!(inbound(1, 32 + 1), Ok(0), "and not five");
        assert_eq!((outbound(1, 1), outbound(4, 1)), (Ok(0), Ok(4)));
        assert_eq!((inbound(4, 1), outbound(4, 2)), (Ok(0), Ok(0)));
        let watched = served(2, true).inbound(&image, header, 2);
        assert_eq!(watched, Ok(Rule::new(2, true)));
    }

    #[test]
    fn a_rule_keeps_its_number() {
        for id in [0, 1, 511] {
            assert_eq!(Rule::new(id, false).id(), id);
            assert_eq!(Rule::new(id, true).id(), id);
        }
    }
}
