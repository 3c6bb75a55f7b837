//! Services: what a packet asks for, and under which rule a role may have it.

use crate::{
    image::{Header, Missing, PER_LINE_16, PORTS, PROTOCOLS, Tables, value16},
    transport::IpProtocol,
};

/// Services in one image, service 0 ("none") included.
pub const MAX_SERVICES: u32 = 1024;

/// Lines that the rules of one service take: one 16-bit rule for each of 64 roles.
pub const LINES: u32 = 64 / PER_LINE_16;

/// A rule of a service: its number, and whether its reference point is in mode audit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule(pub u16);

impl Rule {
    const AUDIT: u16 = 0x8000;

    /// Composes a rule; `id` is 1 to 511.
    #[must_use]
    pub const fn new(id: u16, audit: bool) -> Self {
        Self(id | if audit { Self::AUDIT } else { 0 })
    }

    /// Number of the rule; 0 if there is none.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u16 {
        self.0 & !Self::AUDIT
    }

    /// Whether violations pass.
    #[inline(always)]
    #[must_use]
    pub const fn audit(self) -> bool {
        self.0 & Self::AUDIT != 0
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
