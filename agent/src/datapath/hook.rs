//! The hooks: where programs judge packets, and how they are attached there.

use aya::programs::TcAttachType;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use verdict::reason::Verdict;

/// Return codes of XDP programs (`linux/bpf.h`).
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// Return codes of classifiers (`linux/pkt_cls.h`).
const TC_ACT_UNSPEC: u32 = u32::MAX;
const TC_ACT_SHOT: u32 = 2;

/// Where ingress packets are judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// XDP: in the driver, before the kernel allocates anything for the packet.
    #[default]
    Xdp,
    /// TCX ingress (clsact before Linux 6.6): for interfaces whose XDP slot is taken.
    Tcx,
}

impl Hook {
    /// The ingress program.
    #[must_use]
    pub const fn program(self) -> Program {
        match self {
            Self::Xdp => Program::Xdp,
            Self::Tcx => Program::In,
        }
    }
}

/// A program of the kernel object.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Program {
    /// XDP, ingress.
    Xdp,
    /// TC classifier, ingress.
    In,
    /// TC classifier, egress.
    Out,
    /// The inner door, ingress.
    DoorIn,
    /// The inner door, egress.
    DoorOut,
}

/// What a program is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It judges by the policy in force, and nothing else.
    Alone,
    /// It does, and hands what it has decided on to the candidate's program.
    Watched,
    /// It judges by a candidate, counts the difference, and returns what was handed to it.
    Candidate,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 5] = [Self::Xdp, Self::In, Self::Out, Self::DoorIn, Self::DoorOut];

    /// Name in the kernel object.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name_as(Role::Alone)
    }

    /// Name in the kernel object of the one that has this `role`.
    #[must_use]
    pub const fn name_as(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::Xdp, Role::Alone) => "manoward_xdp",
            (Self::Xdp, Role::Watched) => "manoward_xdp_watched",
            (Self::Xdp, Role::Candidate) => "manoward_xdp_candidate",
            (Self::In, Role::Alone) => "manoward_tcx",
            (Self::In, Role::Watched) => "manoward_tcx_watched",
            (Self::In, Role::Candidate) => "manoward_tcx_candidate",
            (Self::Out, Role::Alone) => "manoward_out",
            (Self::Out, Role::Watched) => "manoward_out_watched",
            (Self::Out, Role::Candidate) => "manoward_out_candidate",
            (Self::DoorIn, Role::Alone) => "manoward_door_in",
            (Self::DoorIn, Role::Watched) => "manoward_door_in_watched",
            (Self::DoorIn, Role::Candidate) => "manoward_door_in_candidate",
            (Self::DoorOut, Role::Alone) => "manoward_door_out",
            (Self::DoorOut, Role::Watched) => "manoward_door_out_watched",
            (Self::DoorOut, Role::Candidate) => "manoward_door_out_candidate",
        }
    }

    /// What a return code of the program means; `None` for one that it never returns.
    #[must_use]
    pub const fn verdict(self, code: u32) -> Option<Verdict> {
        match (self, code) {
            (Self::Xdp, XDP_DROP)
            | (Self::In | Self::Out, TC_ACT_SHOT)
            | (Self::DoorIn | Self::DoorOut, 0) => Some(Verdict::Drop),
            (Self::Xdp, XDP_PASS)
            | (Self::In | Self::Out, TC_ACT_UNSPEC)
            | (Self::DoorIn | Self::DoorOut, 1) => Some(Verdict::Pass),
            _ => None,
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum HookMode {
    /// XDP in the driver.
    XdpNative,
    /// XDP behind the driver: works everywhere, at a fraction of the speed.
    XdpGeneric,
    /// TCX ingress.
    Tcx,
    /// TCX egress.
    TcxEgress,
    /// A filter of the clsact qdisc, ingress.
    Clsact,
    /// A filter of the clsact qdisc, egress.
    ClsactEgress,
}

impl HookMode {
    const ALL: [Self; 6] = [
        Self::XdpNative,
        Self::XdpGeneric,
        Self::Tcx,
        Self::TcxEgress,
        Self::Clsact,
        Self::ClsactEgress,
    ];

    /// Name, as in pins and in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpNative => "xdp-native",
            Self::XdpGeneric => "xdp-generic",
            Self::Tcx => "tcx",
            Self::TcxEgress => "tcx-egress",
            Self::Clsact => "clsact",
            Self::ClsactEgress => "clsact-egress",
        }
    }

    /// The mode with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether it is on egress.
    #[must_use]
    pub const fn is_egress(self) -> bool {
        matches!(self, Self::TcxEgress | Self::ClsactEgress)
    }

    /// The program that is attached in this mode.
    pub(super) const fn program(self) -> Program {
        match self {
            Self::XdpNative | Self::XdpGeneric => Program::Xdp,
            Self::Tcx | Self::Clsact => Program::In,
            Self::TcxEgress | Self::ClsactEgress => Program::Out,
        }
    }

    /// Whether this is a filter of the clsact qdisc.
    pub(super) const fn is_clsact(self) -> bool {
        matches!(self, Self::Clsact | Self::ClsactEgress)
    }

    /// The direction, if this is a filter of the clsact qdisc.
    pub(super) const fn clsact_direction(self) -> Option<TcAttachType> {
        if self.is_clsact() {
            Some(self.direction())
        } else {
            None
        }
    }

    /// The direction of the packets, as TC calls it.
    pub(super) const fn direction(self) -> TcAttachType {
        if self.is_egress() {
            TcAttachType::Egress
        } else {
            TcAttachType::Ingress
        }
    }
}
