//! What is measured: kinds of packets, and what a program has to decide about each.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::family::Family;
use crate::walk::Walk;

/// The service that is asked for: libvirt over TLS.
pub const PORT: u16 = 16514;

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
}

impl Kind {
    /// As one writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::Unknown => "unknown source",
            Self::Allowed => "allowed",
        }
    }

    /// What a program has to decide.
    pub const fn expected(self) -> Code {
        match self {
            Self::Unprotected | Self::Allowed => Code::Pass,
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
        Self {
            family,
            kind,
            frame: family.frame(kind != Kind::Unprotected, PORT),
            walk: Walk::new(family.source_offset(), base, count, family == Family::V6),
        }
    }
}
