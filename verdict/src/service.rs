//! Services: what a packet asks for, and under which rule a role may have it.

use crate::{
    image::{Header, Missing, PER_LINE_16, PORTS, PROTOCOLS, Tables, value16},
    reason::{Outcome, Reason},
    transport::IpProtocol,
};

/// Services in one image, service 0 ("none") included.
pub const MAX_SERVICES: u32 = 1024;

/// Lines that the rules of one service take: one 16-bit rule for each of 64 roles.
pub const LINES: u32 = 64 / PER_LINE_16;

/// A rule of a service: its number, and whether its reference point is in mode audit, in the bits
/// where an [`Outcome`] has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule(pub u16);

impl Rule {
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

    /// The outcome for a packet that the rule permits.
    #[inline(always)]
    pub const fn permit(self, endpoint: u32) -> Outcome {
        Outcome::with_rule(Reason::Permitted, self.0 & !Outcome::AUDITED, endpoint)
    }

    /// The outcome for a packet that violates the rule, in the mode of its reference point.
    #[inline(always)]
    pub const fn violated(self, reason: Reason, endpoint: u32) -> Outcome {
        Outcome::with_rule(reason, self.0, endpoint)
    }
}

/// The role number under which a service keeps the rule that governs those who have none.
pub const GOVERNING: u8 = 0;

/// The service of a destination port of the transport with [`IpProtocol::port_table`] `table`.
#[inline(always)]
pub fn of_port<T: Tables>(tables: &T, table: u32, port: u16) -> Result<u16, Missing> {
    value16(tables, PORTS, table * 65_536 + u32::from(port))
}

/// The service of a protocol without ports.
#[inline(always)]
pub fn of_protocol<T: Tables>(tables: &T, protocol: IpProtocol) -> Result<u16, Missing> {
    value16(tables, PROTOCOLS, u32::from(protocol.0))
}

/// The rule under which `role` may use `service`; number 0 if it may not.
#[inline(always)]
pub fn rule<T: Tables>(
    tables: &T,
    header: Header<'_>,
    service: u16,
    role: u8,
) -> Result<Rule, Missing> {
    let base = header.rules().wrapping_add(u32::from(service) * LINES);
    Ok(Rule(value16(tables, base, u32::from(role & 63))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::{GRE, SSH, WATCHED, image};

    #[test]
    fn a_service_is_found_by_its_own_transport_and_port() {
        let image = image(false);
        assert_eq!(of_port(&image, 0, SSH), Ok(1));
        assert_eq!(of_port(&image, 1, WATCHED), Ok(2));
        for (table, port) in [
            (1, SSH),
            (2, SSH),
            (0, WATCHED),
            (0, SSH + 1),
            (2, u16::MAX),
        ] {
            assert_eq!(of_port(&image, table, port), Ok(0));
        }
        for protocol in 0..=u8::MAX {
            let expected = if protocol == GRE { 3 } else { 0 };
            assert_eq!(of_protocol(&image, IpProtocol(protocol)), Ok(expected));
        }
    }

    #[test]
    fn a_rule_belongs_to_service_and_role() {
        let image = image(false);
        let header = Header::of(&image).expect("a header");
        let id = |service, role| rule(&image, header, service, role).map(Rule::id);
        assert_eq!(
            (id(1, 1), id(1, 2), id(1, GOVERNING)),
            (Ok(1), Ok(0), Ok(1))
        );
        assert_eq!((id(2, 1), id(2, 2)), (Ok(0), Ok(2)));
        assert_eq!(id(1, 64 + 1), Ok(1), "roles have six bits");
        assert_eq!(id(1, 32 + 1), Ok(0), "and not five");
        assert_eq!(rule(&image, header, 2, 2), Ok(Rule::new(2, true)));
    }

    #[test]
    fn a_rule_keeps_its_number() {
        for id in [0, 1, 511] {
            assert_eq!(Rule::new(id, false).id(), id);
            assert_eq!(Rule::new(id, true).id(), id);
        }
    }
}
