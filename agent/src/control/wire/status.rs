//! What the agent does.

use manoward_api::{
    Attachment, Coverage, Door, EnrolmentStatus, Hook, HookMode, PolicyInForce, Problem, Status,
    TrialStatus,
};

use super::{leases::refused, trying};
use crate::{
    config::DoorMode,
    datapath,
    enforcer::{self, Current, View},
    leases::Registry,
};

/// What is enforced as of `view`.
pub fn status(view: &View) -> Status {
    let current = view.current.as_deref();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: view.started.to_string(),
        hook: view.hook.into(),
        policy: current.map(in_force),
        trial: view.trial.as_deref().map(|trial| TrialStatus {
            left_seconds: trial.left().as_secs_f64(),
            goes_back_to: trial.confirmed().map(|it| it.stored.identity.serial),
        }),
        trying: view.trying.as_deref().map(trying),
        attachments: view.attachments.iter().cloned().map(Into::into).collect(),
        protected: current.map_or_else(Vec::new, |current| Vec::from_iter(current.protected())),
        enrolment: view.registry.as_deref().map(enrolment),
        coverage: view.coverage().into_iter().map(Into::into).collect(),
        elsewhere: view.elsewhere(),
        door: match (view.door, view.door_open) {
            (DoorMode::Enforce, true) => Door::Enforce,
            (DoorMode::Audit, true) => Door::Audit,
            (DoorMode::Off, _) => Door::Off,
            (_, false) => Door::Missing,
        },
        verified: view.verified.map(|when| when.to_string()),
        is_verified: view.is_verified(),
        problems: view.problems().into_iter().map(Into::into).collect(),
    }
}

fn in_force(current: &Current) -> PolicyInForce {
    let policy = current.policy();
    PolicyInForce {
        name: policy.name.clone(),
        serial: policy.serial,
        mode: policy.mode.into(),
        outbound: policy.outbound.into(),
        applied: current.stored.applied.clone(),
        endpoints: policy.endpoints.len(),
        addresses: current.addresses(),
        image_bytes: current.image.kernel_bytes(),
    }
}

fn enrolment(registry: &Registry) -> EnrolmentStatus {
    EnrolmentStatus {
        port: registry.port(),
        leases: registry.leases().len(),
        refused: refused(registry),
    }
}

impl From<enforcer::Coverage> for Coverage {
    fn from(coverage: enforcer::Coverage) -> Self {
        Self {
            interface: coverage.interface,
            ifindex: coverage.ifindex,
            addresses: coverage.addresses,
            ingress: coverage.ingress.map(Into::into),
            egress: coverage.egress.map(Into::into),
            inside: coverage.inside,
            seems_inside: coverage.seems_inside,
            at_door: coverage.at_door,
            exposed: coverage.exposed,
        }
    }
}

impl From<enforcer::Problem> for Problem {
    fn from(problem: enforcer::Problem) -> Self {
        Self {
            code: problem.kind.code().to_owned(),
            message: problem.message,
        }
    }
}

impl From<datapath::Hook> for Hook {
    fn from(hook: datapath::Hook) -> Self {
        match hook {
            datapath::Hook::Xdp => Self::Xdp,
            datapath::Hook::Tcx => Self::Tcx,
        }
    }
}

impl From<datapath::Attachment> for Attachment {
    fn from(attachment: datapath::Attachment) -> Self {
        Self {
            interface: attachment.interface,
            ifindex: attachment.ifindex,
            mode: attachment.mode.into(),
            via: attachment.via,
            degraded: attachment.degraded,
        }
    }
}

impl From<datapath::HookMode> for HookMode {
    fn from(mode: datapath::HookMode) -> Self {
        match mode {
            datapath::HookMode::XdpNative => Self::XdpNative,
            datapath::HookMode::XdpGeneric => Self::XdpGeneric,
            datapath::HookMode::Tcx => Self::Tcx,
            datapath::HookMode::TcxEgress => Self::TcxEgress,
            datapath::HookMode::Clsact => Self::Clsact,
            datapath::HookMode::ClsactEgress => Self::ClsactEgress,
        }
    }
}
