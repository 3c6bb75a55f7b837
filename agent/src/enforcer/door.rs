//! The inner door follows the policy and the host, as the programs at interfaces do.

use std::{fs, path::Path};

use tracing::{info, warn};
use verdict::layout::{DoorControl, INSIDE};

use super::{Enforcer, Trial, coverage::lacking, problem::Kind};
use crate::{
    config::DoorMode,
    files::{self, Owner},
};

/// What the door does: what agent.yaml says, else what was chosen when the agent first ran here. A host
/// that had an agent without a door begins with an audit, so that nothing is cut by surprise.
pub(super) fn mode(configured: Option<DoorMode>, state: &Path, has_policy: bool) -> DoorMode {
    if let Some(mode) = configured {
        return mode;
    }
    let path = state.join("door");
    let chosen = files::read_text(&path, files::SETTINGS, Owner::Trusted).ok();
    match chosen.as_deref().map(str::trim) {
        Some("enforce") => DoorMode::Enforce,
        Some("audit") => DoorMode::Audit,
        _ => {
            let (mode, name) = if has_policy {
                (DoorMode::Audit, "audit")
            } else {
                (DoorMode::Enforce, "enforce")
            };
            if let Err(error) = fs::write(&path, name) {
                warn!(path = %path.display(), %error, "cannot keep what the inner door does");
            }
            mode
        }
    }
}

impl Enforcer {
    /// Has the door do what it should, by the policy in force and the host as it is; attaches it again if
    /// somebody has detached it.
    pub(super) fn follow_door(&mut self) {
        self.door_problem = None;
        if self.door == DoorMode::Off {
            self.door_open = false;
            self.leave_groups(false);
            if let Err(error) = self.datapath.close_door() {
                self.door_problem = Some(Kind::Door.problem(error.to_string()));
            }
            return;
        }
        if self.current.is_none() {
            return;
        }
        let mut covered = self.covered_interfaces();
        covered.extend(self.interfaces_inside());
        let flags = match self.door {
            DoorMode::Audit => DoorControl::AUDIT,
            DoorMode::Enforce | DoorMode::Off => 0,
        };
        let there = self.datapath.has_door().unwrap_or(false);
        let opened = self.datapath.set_door(flags, &covered).and_then(|()| {
            if there {
                return Ok(());
            }
            if self.door_open {
                warn!("somebody has detached the inner door: attaching it again");
            }
            self.datapath.open_door()
        });
        self.door_open = opened.is_ok();
        let enforces = self.door_open && self.door == DoorMode::Enforce;
        self.leave_groups(enforces);
        if let Err(error) = opened {
            let message = format!(
                "there is no inner door, so what reaches sockets another way is not judged: {error}. \
                 `door: off` in agent.yaml accepts that"
            );
            info!("{message}");
            self.door_problem = Some(Kind::Door.problem(message));
        }
    }

    /// Leaves what is sent to groups to the sockets that receive it, or to the programs at interfaces.
    fn leave_groups(&mut self, to_sockets: bool) {
        if let Err(error) = self.datapath.leave_groups(to_sockets) {
            let message = format!("cannot tell where groups are judged: {error}");
            self.door_problem = Some(Kind::Door.problem(message));
        }
    }

    /// Indexes of the interfaces that agent.yaml says lead to the host's own guests, marked.
    fn interfaces_inside(&self) -> Vec<u32> {
        let names = self.config.inside.iter();
        let inside = names.flat_map(|name| self.interfaces.called(name));
        inside.map(|interface| interface.index | INSIDE).collect()
    }

    /// Indexes of the interfaces over which unicast to a protected address reaches a socket only
    /// judged.
    fn covered_interfaces(&self) -> Vec<u32> {
        let entrances = self.interfaces.entrances();
        let covered = entrances.filter(|(interface, carriers)| {
            let confirmed = self.trial.as_deref().and_then(Trial::confirmed);
            let mut policies = self.current.as_deref().into_iter().chain(confirmed);
            let beside = policies.any(|it| self.interfaces.is_beside(interface.index, it.policy()));
            !carriers.is_empty() && !beside && lacking(&self.attachments, carriers).is_none()
        });
        covered.map(|(interface, _)| interface.index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_host_enforces_and_one_that_is_upgraded_audits_until_it_is_told() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(mode(None, state.path(), false), DoorMode::Enforce);
        assert_eq!(
            mode(None, state.path(), true),
            DoorMode::Enforce,
            "as chosen"
        );
        let state = tempfile::tempdir().unwrap();
        assert_eq!(mode(None, state.path(), true), DoorMode::Audit);
        assert_eq!(mode(None, state.path(), true), DoorMode::Audit);
        let told = mode(Some(DoorMode::Off), state.path(), true);
        assert_eq!(told, DoorMode::Off);
    }
}
