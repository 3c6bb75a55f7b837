//! What is measured: kinds of packets, and what a program has to decide about each.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::family::Family;
use crate::walk::Walk;

/// The service that is asked for: libvirt over TLS.
pub const PORT: u16 = 16514;

/// The service that the protected address uses: AMQP over TLS.
pub const PEER_PORT: u16 = 5671;

/// Most flows of one IP version: both together are what the table surely holds.
pub const FLOWS_PER_FAMILY: u32 = 1 << 19;

/// A kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// To an address that is not protected: tenants' traffic.
    Unprotected,
    /// To the protected address, from a source that no policy knows.
    Unknown,
    /// To the protected address, from an allowed source.
    Allowed,
    /// The same, from a source that has to hold a lease, and does.
    Proven,
    /// To the protected address, in a connection that it opened.
    Established,
}

impl Kind {
    /// As one writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::Unknown => "unknown source",
            Self::Allowed => "allowed",
            Self::Proven => "by lease",
            Self::Established => "established flow",
        }
    }

    /// What a program has to decide.
    pub const fn expected(self) -> Code {
        match self {
            Self::Unprotected | Self::Allowed | Self::Proven | Self::Established => Code::Pass,
            Self::Unknown => Code::Drop,
        }
    }
}

/// Return codes of XDP programs (linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `XDP_DROP`
    Drop = 1,
    /// `XDP_PASS`
    Pass = 2,
}

impl Code {
    /// Reads a return code.
    pub fn from_return(value: u32) -> Result<Self> {
        [Self::Drop, Self::Pass]
            .into_iter()
            .find(|&code| code as u32 == value)
            .with_context(|| format!("the program returned {value}, which is no verdict"))
    }
}

/// A frame, and how its source changes from packet to packet.
#[derive(Clone, Debug)]
pub struct Packets {
    /// The IP version.
    pub family: Family,
    /// The kind.
    pub kind: Kind,
    /// The first packet.
    pub frame: Vec<u8>,
    /// Its sources.
    pub walk: Walk,
}

impl Packets {
    /// Packets of a kind from `count` sources.
    pub fn new(family: Family, kind: Kind, count: u32) -> Self {
        let base = Family::base(kind != Kind::Unknown);
        let (frame, count) = match kind {
            Kind::Established => (family.answer(PEER_PORT), count.min(FLOWS_PER_FAMILY)),
            _ => (family.frame(kind != Kind::Unprotected, PORT), count),
        };
        Self {
            family,
            kind,
            frame,
            walk: Walk::new(family.source_offset(), base, count, family == Family::V6),
        }
    }
}
