//! Watching over what is attached: the kernel is asked whether it still is, and what somebody has
//! taken off is put back.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{error, warn};

use super::{
    Enforcer, now,
    problem::{Kind, Problem},
};
use crate::datapath::{Attachment, HookMode, interface::name_of};

/// For so long it is told that something was put back.
const TOLD: Duration = Duration::from_mins(10);

/// What has been seen of the attachments.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When the kernel confirmed all of them last.
    pub(super) verified: Option<Timestamp>,
    /// What is wrong now.
    missing: Vec<Problem>,
    /// What could not be put back.
    detached: Vec<Attachment>,
    /// What was put back, and when.
    put_back: Vec<(Instant, Problem)>,
}

impl Watch {
    /// What has been found wrong.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let put_back = self.put_back.iter().map(|(_, problem)| problem);
        self.missing.iter().chain(put_back).cloned()
    }
}

impl Enforcer {
    /// Asks the kernel for everything that is attached, and puts back what is not any more.
    pub(super) fn verify(&mut self) {
        self.watch.missing.clear();
        self.watch
            .put_back
            .retain(|(when, _)| when.elapsed() < TOLD);
        let mut lost = self.lost();
        lost.append(&mut self.watch.detached);
        // An interface that is being deleted loses its programs first.
        lost.retain(|lost| name_of(lost.ifindex).is_some());
        if lost.is_empty() {
            return;
        }
        if let Some(current) = self.current.clone() {
            let (carriers, _) = self.interfaces.carriers_present(current.policy());
            if let Err(error) = self.attach_each(&carriers) {
                error!(%error, "what somebody has detached cannot be put back");
            }
        }
        let still = self.lost();
        for lost in lost {
            let is_it = |at: &Attachment| (at.ifindex, at.mode) == (lost.ifindex, lost.mode);
            let (program, interface) = (described(lost.mode), &lost.interface);
            if self.attachments.iter().any(is_it) && !still.iter().any(is_it) {
                let problem = format!(
                    "somebody removed {program} from `{interface}`; it was put back at {}",
                    now()
                );
                warn!("{problem}");
                let problem = Kind::Detached.problem(problem);
                self.watch.put_back.push((Instant::now(), problem));
            } else if name_of(lost.ifindex).is_some() {
                self.watch.missing.push(Kind::Detached.problem(format!(
                    "somebody has removed {program} from `{interface}`, and it cannot be put back"
                )));
                self.watch.detached.push(lost);
            }
        }
    }

    /// What the kernel does not have any more.
    fn lost(&mut self) -> Vec<Attachment> {
        match self.datapath.lost(&self.attachments) {
            Ok(lost) => {
                if lost.is_empty() {
                    self.watch.verified = Some(Timestamp::now());
                }
                lost
            }
            Err(error) => {
                let problem = format!("the kernel does not tell what is attached: {error}");
                warn!("{problem}");
                self.watch.missing.push(Kind::Unverified.problem(problem));
                Vec::new()
            }
        }
    }
}

/// A program, as a person speaks of it.
const fn described(mode: HookMode) -> &'static str {
    match mode {
        HookMode::XdpNative | HookMode::XdpGeneric => "the XDP program",
        HookMode::Tcx => "the ingress classifier (tcx)",
        HookMode::TcxEgress => "the egress classifier (tcx)",
        HookMode::Clsact => "the ingress filter (clsact)",
        HookMode::ClsactEgress => "the egress filter (clsact)",
    }
}
