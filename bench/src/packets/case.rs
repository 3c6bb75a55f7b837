//! What is measured: kinds of packets, and what a program has to decide about each.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::packets::driver::Driver;
use crate::packets::family::Family;
use crate::packets::walk::Walk;

/// The service that is asked for: libvirt over TLS.
pub const PORT: u16 = 16514;

/// A service for another role: SSH.
pub const OTHER_PORT: u16 = 22;

/// The service that the protected address uses: AMQP over TLS.
pub const PEER_PORT: u16 = 5671;

/// Most flows of one IP version. Both versions together fill little more than half of the largest
/// table: with a million flows it would have no room for one of them in every tenth run.
pub const FLOWS_PER_FAMILY: u32 = 300_000;

/// Connections that are opened one after the other, each from another port.
pub const OPENED: u32 = 40_000;

/// A kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// To an address that is not protected: tenants' traffic.
    Unprotected,
    /// To the protected address, from a source that no policy knows.
    Unknown,
    /// To the protected address, from an allowed source.
    Allowed,
    /// To the protected address, from an allowed source, the first of a connection.
    Request,
    /// To the protected address, from an endpoint with one address.
    Single,
    /// To the protected address, from an endpoint that is bound to a MAC address, and has it.
    Bound,
    /// To the protected address, from an endpoint that needs a lease, and has one.
    Proven,
    /// From an allowed source, to a service that is for another role.
    WrongRole,
    /// From a source that is bound to another MAC address.
    WrongBinding,
    /// As `Allowed`, while a candidate is tried that does the same.
    Tried,
    /// As `WrongRole`, while a candidate is tried that would admit it.
    TriedOther,
    /// To the protected address, in a connection that it opened.
    Established,
    /// A later fragment from an allowed source.
    Fragment,
    /// ARP, and neighbour discovery: a question for the protected address.
    Neighbour,
    /// From the protected address, the first of a connection.
    Opening,
    /// From the protected address, in a connection that is open.
    Sent,
    /// From the protected address, to an allowed source that uses a service of it.
    Reply,
}

impl Kind {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::Unknown => "unknown source",
            Self::Allowed => "allowed",
            Self::Request => "allowed, new",
            Self::Single => "by address",
            Self::Bound => "by MAC address",
            Self::Proven => "by lease",
            Self::WrongRole => "wrong role",
            Self::WrongBinding => "wrong MAC address",
            Self::Tried => "allowed, with a candidate",
            Self::TriedOther => "wrong role, but for a candidate",
            Self::Established => "established flow",
            Self::Fragment => "fragment",
            Self::Neighbour => "ARP, ND",
            Self::Opening => "out: new flow",
            Self::Sent => "out: in a flow",
            Self::Reply => "out: reply",
        }
    }

    /// What a program has to decide.
    pub const fn expected(self) -> Code {
        match self {
            Self::Unknown | Self::WrongRole | Self::WrongBinding | Self::TriedOther => Code::Drop,
            _ => Code::Pass,
        }
    }

    /// Whether the protected address sends it.
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Opening | Self::Sent | Self::Reply)
    }
}

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// Each from another source than the one before, so that its entry is not in a cache because of
    /// the last packet.
    Changing,
    /// All from one source.
    Fixed,
    /// Each from another prefix than the one before.
    Prefixes,
}

/// The name of packets in reports.
pub fn label(kind: Kind, sources: Sources) -> String {
    let name = kind.name();
    match sources {
        Sources::Changing => name.to_owned(),
        Sources::Fixed => format!("{name}, one"),
        Sources::Prefixes => format!("{name}, prefixes"),
    }
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The packet is dropped.
    Drop,
    /// It passes.
    Pass,
}

impl Code {
    /// Reads the return code of an XDP program (`linux/bpf.h`).
    pub fn of_xdp(value: u32) -> Result<Self> {
        match value {
            1 => Some(Self::Drop),
            2 => Some(Self::Pass),
            _ => None,
        }
        .with_context(|| format!("the program returned {value}, which is no verdict"))
    }

    /// Reads the return code of a classifier (`linux/pkt_cls.h`): `TC_ACT_SHOT` and
    /// `TC_ACT_UNSPEC`.
    pub fn of_classifier(value: u32) -> Result<Self> {
        match value.cast_signed() {
            2 => Some(Self::Drop),
            -1 => Some(Self::Pass),
            _ => None,
        }
        .with_context(|| format!("the classifier returned {value}, which is no verdict"))
    }
}

/// A frame, and how its source changes from packet to packet.
#[derive(Clone, Debug)]
pub struct Packets {
    /// The IP version.
    pub family: Family,
    /// The kind.
    pub kind: Kind,
    /// Where they come from.
    pub sources: Sources,
    /// The first packet.
    pub frame: Vec<u8>,
    /// Its sources.
    pub walk: Walk,
    /// How many differ from one another.
    pub different: u32,
}

impl Packets {
    /// Packets of a kind where `count` sources are allowed.
    pub fn new(family: Family, kind: Kind, sources: Sources, count: u32) -> Self {
        let (field, different) = match (kind, sources) {
            (Kind::Opening, _) => (family.local_port(PEER_PORT), OPENED),
            (Kind::Sent, _) => (family.local_port(PEER_PORT), count.min(OPENED)),
            (Kind::Reply, _) => (family.destination(), count),
            (Kind::Neighbour, _) => (family.solicitor(), count),
            (Kind::Established, _) => (family.source(true), count.min(FLOWS_PER_FAMILY)),
            (_, Sources::Changing) => (family.source(kind != Kind::Unknown), count),
            (_, Sources::Fixed) => (family.source(kind != Kind::Unknown), 1),
            (_, Sources::Prefixes) => (family.prefix(), count),
        };
        let frame = match (kind, sources) {
            (Kind::Unprotected, _) => family.frame(false, PORT),
            (Kind::Request, _) => family.request(PORT),
            (Kind::WrongRole | Kind::TriedOther, _) => family.frame(true, OTHER_PORT),
            (Kind::WrongBinding, _) => family.frame_with_other_mac(PORT),
            (Kind::Established, _) => family.answer(PEER_PORT),
            (Kind::Fragment, _) => family.fragment(),
            (Kind::Neighbour, _) => family.neighbour(),
            (Kind::Opening, _) => family.opening(PEER_PORT, 0),
            (Kind::Sent, _) => family.question(PEER_PORT, 0),
            (Kind::Reply, _) => family.reply(PORT),
            (_, Sources::Prefixes) => family.frame_of_prefix(PORT),
            _ => family.frame(true, PORT),
        };
        Self {
            family,
            kind,
            sources,
            frame,
            walk: Walk::new(field, different),
            different,
        }
    }

    /// Packets of a run: where each opens a connection, as many as there are local ports.
    pub fn per_run(&self) -> u32 {
        match self.kind {
            Kind::Opening => self.different,
            _ => Driver::PACKETS,
        }
    }
}
