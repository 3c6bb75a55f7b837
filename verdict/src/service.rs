//! Services: what a packet asks for, and under which rule a role may have it.

use core::hint::black_box;

use crate::{
    image::{Header, Missing, PER_LINE_16, SERVICES, Tables, value16},
    reason::{Outcome, Reason},
    transport::IpProtocol,
};

/// Services in one image, service 0 ("none") included.
pub const MAX_SERVICES: u32 = 1024;

/// Lines that the rules of one service in one direction take: one 16-bit rule for each of 64 roles.
pub const LINES: u32 = 64 / PER_LINE_16;

/// Lines that all rules of one service take: inbound, then outbound.
pub const LINES_PER_SERVICE: u32 = 2 * LINES;

/// Where services are listed: a port of TCP, UDP or SCTP, or an IP protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place(u32);

impl Place {
    const PORTS: u32 = 65_536;
    const PROTOCOLS: u32 = 3 * Self::PORTS;

    /// Number of places.
    pub const COUNT: u32 = Self::NONE.0 + PER_LINE_16;

    /// A place without a service.
    pub const NONE: Self = Self(Self::PROTOCOLS + 256);

    /// A port of the transport with [`IpProtocol::port_table`] `table`.
    #[inline(always)]
    #[must_use]
    pub const fn port(table: u32, port: u16) -> Self {
        Self(table * Self::PORTS + port as u32)
    }

    /// A protocol without ports.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(protocol: IpProtocol) -> Self {
        Self(Self::PROTOCOLS + protocol.0 as u32)
    }

    /// The same, of which the kernel's verifier no longer knows how it came about.
    #[inline(always)]
    pub fn forget(self) -> Self {
        let [a, b, c, _] = self.0.to_le_bytes();
        let lower = black_box(u16::from_le_bytes([a, b]));
        Self(u32::from(black_box(c)) << 16 | u32::from(lower))
    }

    /// The index, below [`Place::COUNT`].
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// What is served at a place: number of the service in bits 0 to 9, and in which directions.
///
/// The service that a port belongs to inbound may be another than outbound; each pair that occurs
/// has a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service(pub u16);

impl Service {
    const ENROLMENT: u16 = 1 << 13;
    const OUTBOUND: u16 = 1 << 14;
    const INBOUND: u16 = 1 << 15;

    /// None.
    pub const NONE: Self = Self(0);

    /// Composes a service.
    #[must_use]
    pub const fn new(number: u16, inbound: bool, outbound: bool) -> Self {
        let inbound = if inbound { Self::INBOUND } else { 0 };
        let outbound = if outbound { Self::OUTBOUND } else { 0 };
        Self(number | inbound | outbound)
    }

    /// The service with which endpoints prove who they are.
    #[must_use]
    pub const fn enrolment(number: u16, outbound: bool) -> Self {
        Self(Self::new(number, true, outbound).0 | Self::ENROLMENT)
    }

    /// Whether endpoints prove with it who they are.
    #[inline(always)]
    #[must_use]
    pub const fn is_enrolment(self) -> bool {
        self.0 & Self::ENROLMENT != 0
    }

    /// The service at `place`.
    #[inline(always)]
    pub fn at<T: Tables>(tables: &T, place: Place) -> Result<Self, Missing> {
        Ok(Self(value16(tables, SERVICES, place.0)?))
    }

    /// Number, below [`MAX_SERVICES`].
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 & (MAX_SERVICES as u16 - 1)
    }

    /// Whether roles may connect to the host.
    #[inline(always)]
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        self.0 & Self::INBOUND != 0
    }

    /// Whether the host may connect to roles.
    #[inline(always)]
    #[must_use]
    pub const fn is_outbound(self) -> bool {
        self.0 & Self::OUTBOUND != 0
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
        self.rule(tables, header.rules().wrapping_add(LINES), role)
    }

    #[inline(always)]
    fn rule<T: Tables>(self, tables: &T, first: u32, role: u8) -> Result<Rule, Missing> {
        let base = first.wrapping_add(u32::from(self.number()) * LINES_PER_SERVICE);
        Ok(Rule(value16(tables, base, u32::from(role & 63))?))
    }
}

/// A rule of a service: its number, and whether its reference point is in mode audit, in the bits
/// where an [`Outcome`] has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule(pub u16);

impl Rule {
    /// No rule.
    pub const NONE: Self = Self(0);

    /// Composes a rule; `id` is 1 to 511.
    #[must_use]
    pub const fn new(id: u16, audit: bool) -> Self {
        Self((id << Outcome::RULE_SHIFT) | if audit { Outcome::AUDITED } else { 0 })
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
        Outcome::with_rule(reason, self.0 & !Outcome::AUDITED, endpoint)
    }

    /// The outcome for a packet that violates the rule, in the mode of its reference point.
    #[inline(always)]
    pub const fn violated(self, reason: Reason, endpoint: u32) -> Outcome {
        Outcome::with_rule(reason, self.0, endpoint)
    }
}

/// The role number under which a service keeps the rule that governs those who have none.
pub const GOVERNING: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::{GRE, NTP, SSH, WATCHED, image};

    #[test]
    fn a_service_is_found_by_its_own_transport_and_port() {
        let image = image(false);
        let at = |place| Service::at(&image, place).expect("all lines");
        assert_eq!(at(Place::port(0, SSH)), Service::new(1, true, false));
        assert_eq!(at(Place::port(1, WATCHED)), Service::new(2, true, false));
        assert_eq!(at(Place::port(1, NTP)), Service::new(4, false, true));
        for (table, port) in [
            (1, SSH),
            (2, SSH),
            (0, WATCHED),
            (0, SSH + 1),
            (2, u16::MAX),
        ] {
            assert_eq!(at(Place::port(table, port)), Service::NONE);
        }
        for protocol in 0..=u8::MAX {
            let expected = match protocol {
                GRE => Service::new(3, true, false),
                1 | 58 => Service::new(4, false, true),
                _ => Service::NONE,
            };
            assert_eq!(at(Place::protocol(IpProtocol(protocol))), expected);
        }
        assert_eq!(at(Place::NONE), Service::NONE);
    }

    #[test]
    fn every_place_is_another() {
        let ports =
            (0..3).flat_map(|table| [0, 1, 255, u16::MAX].map(|port| Place::port(table, port)));
        let protocols = (0..=u8::MAX).map(|protocol| Place::protocol(IpProtocol(protocol)));
        let places: std::vec::Vec<u32> = ports
            .chain(protocols)
            .chain([Place::NONE])
            .map(|place| {
                assert_eq!(place.forget(), place);
                place.index()
            })
            .collect();
        assert!(places.is_sorted_by(|a, b| a < b));
        // The table of services ends with a whole line, in which the last one is.
        assert_eq!(Place::COUNT % PER_LINE_16, 0);
        let last = Place::NONE.index();
        assert!(last < Place::COUNT && Place::COUNT <= last + PER_LINE_16);
    }

    #[test]
    fn an_enrolment_is_a_service_for_peers() {
        for outbound in [false, true] {
            let service = Service::enrolment(7, outbound);
            assert!(service.is_enrolment() && service.is_inbound());
            assert_eq!((service.number(), service.is_outbound()), (7, outbound));
            assert!(!Service::new(7, true, outbound).is_enrolment());
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
            let service = Service::new(number, true, true);
            service.inbound(&image, header, role).map(Rule::id)
        };
        let outbound = |number, role| {
            let service = Service::new(number, true, true);
            service.outbound(&image, header, role).map(Rule::id)
        };
        assert_eq!(
            (inbound(1, 1), inbound(1, 2), inbound(1, GOVERNING)),
            (Ok(1), Ok(0), Ok(1))
        );
        assert_eq!((inbound(2, 1), inbound(2, 2)), (Ok(0), Ok(2)));
        assert_eq!(inbound(1, 64 + 1), Ok(1), "roles have six bits");
        assert_eq!(inbound(1, 32 + 1), Ok(0), "and not five");
        assert_eq!((outbound(1, 1), outbound(4, 1)), (Ok(0), Ok(4)));
        assert_eq!((inbound(4, 1), outbound(4, 2)), (Ok(0), Ok(0)));
        let watched = Service::new(2, true, false).inbound(&image, header, 2);
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
