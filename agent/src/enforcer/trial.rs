//! A policy on trial: in force until it is confirmed over what it admits, or until its time is over.
//!
//! The programs in the kernel go back by themselves, so that no agent is needed for it. What is here
//! follows them, and does what they cannot: detach, give leases up, tell.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;
use tracing::{info, warn};

use super::{Current, Enforcer, adopt::Adoption, now, problem::Kind, session};
use crate::{
    caller::{Connection, Terminal, connections},
    datapath::PublishError,
    store::{
        Identity, StoreError, Stored, TrialRecord,
        history::{Added, Entry, Event, Reason, hash},
    },
};

/// Seconds within which a policy can be asked to be confirmed.
pub const TERMS: RangeInclusive<u64> = 3..=24 * 60 * 60;

/// A policy on trial, which is the one in force.
#[derive(Debug)]
pub struct Trial {
    /// The policy that was confirmed last; `None` if there was none.
    pub confirmed: Option<Arc<Current>>,
    /// When it is over.
    pub ends: Instant,
    /// How long it lasts from its beginning, and from that of the next if that replaces it.
    pub within: Duration,
    /// Connections that were open when it began; `None` if that is not known.
    pub(super) connections: Option<BTreeSet<Connection>>,
}

impl Trial {
    /// The policy that was confirmed last; `None` if there was none.
    #[must_use]
    pub fn confirmed(&self) -> Option<&Current> {
        self.confirmed.as_deref()
    }

    /// Time until it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

/// Where somebody confirms from.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The terminal.
    pub terminal: Option<Terminal>,
    /// The connections that the command may have come over.
    pub connections: Vec<Connection>,
}

impl Place {
    /// Whether it is the console of the host itself, which nobody came over a network to.
    #[must_use]
    pub fn is_console(&self) -> bool {
        self.connections.is_empty() && self.terminal.is_some_and(Terminal::is_console)
    }
}

/// Why a trial goes on as it is.
#[derive(Debug, Error)]
pub enum ConfirmError {
    /// There is none.
    #[error("no policy waits for its confirmation")]
    NothingOnTrial,
    /// Whoever confirms has not come through the new policy.
    #[error(
        "this does not show that the new policy lets you in: {0}. Confirm over a connection that you open now, or from the console of the host"
    )]
    Unproven(String),
    /// It cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel did not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Enforcer {
    /// Enforces the policy on trial for good. Its serial.
    ///
    /// # Errors
    ///
    /// [`ConfirmError`]: the trial goes on.
    pub fn confirm(&mut self, place: &Place, reason: &Reason) -> Result<u64, ConfirmError> {
        self.changing(|enforcer| enforcer.make_final(place, reason))
    }

    /// Goes back to the policy that was confirmed last. Its serial.
    ///
    /// # Errors
    ///
    /// [`ConfirmError`]: the trial goes on.
    pub fn cancel(&mut self, reason: &Reason) -> Result<Option<u64>, ConfirmError> {
        self.changing(|enforcer| {
            enforcer.go_back(Event::Cancelled, reason)?;
            let current = enforcer.current.as_deref();
            Ok(current.map(|current| current.stored.identity.serial))
        })
    }

    /// Ends a trial whose time is over, as the programs in the kernel have done.
    pub(super) fn end_overdue(&mut self) {
        if self
            .trial
            .as_ref()
            .is_none_or(|trial| !trial.left().is_zero())
        {
            return;
        }
        let ended = self.changing(|enforcer| enforcer.go_back(Event::Lapsed, &Reason::default()));
        if let Err(error) = ended {
            warn!(%error, "the trial of the policy is over, and the agent cannot follow the kernel");
        }
    }

    fn make_final(&mut self, place: &Place, reason: &Reason) -> Result<u64, ConfirmError> {
        let (Some(trial), Some(current)) = (self.trial.clone(), self.current.clone()) else {
            return Err(ConfirmError::NothingOnTrial);
        };
        self.proves(place, &trial, &current)?;
        let identity = current.stored.identity;
        let prepared = self.store.prepare(identity)?;
        let added = self.note(Event::Confirmed, &current.stored, None, reason)?;
        if let Err(error) = self.datapath.confirm() {
            self.store.history().take_back(&added)?;
            return Err(error.into());
        }
        let kept = self.store.set_current(prepared);
        let kept = kept.and_then(|()| self.store.end_trial());
        self.trial = None;
        self.problems.policy.clear();
        if let Err(error) = kept {
            self.policy_problem(format!(
                "serial {} is confirmed until the host restarts: {error}",
                identity.serial
            ));
        }
        self.attach_as_named();
        self.follow_policy();
        info!(serial = identity.serial, "policy confirmed");
        Ok(identity.serial)
    }

    /// Whether a confirmation from `place` shows that the policy on trial lets in whoever sends it.
    fn proves(&self, place: &Place, trial: &Trial, current: &Current) -> Result<(), ConfirmError> {
        let mut why = "no connection was found that the command came over".to_owned();
        for connection in &place.connections {
            let Connection { peer, local } = connection;
            let blocked = session::blocked(*connection, current, self.registry.as_deref());
            why = match (&trial.connections, blocked) {
                (Some(before), None) if !before.contains(connection) => return Ok(()),
                (Some(_), None) => {
                    format!("the connection from {peer} to {local} was open before the change")
                }
                (None, None) => "the agent was killed before it had noted which connections were \
                                 open before the change"
                    .to_owned(),
                (_, Some(because)) => format!(
                    "the new policy does not admit the connection from {peer} to {local} \
                     ({because})"
                ),
            };
        }
        if place.is_console() {
            return Ok(());
        }
        Err(ConfirmError::Unproven(why))
    }

    /// Enforces the policy that was confirmed last.
    fn go_back(&mut self, event: Event, reason: &Reason) -> Result<(), ConfirmError> {
        let Some(trial) = self.trial.clone() else {
            return Err(ConfirmError::NothingOnTrial);
        };
        self.datapath.end_term()?;
        self.trial = None;
        let tried = self.current.take();
        self.current.clone_from(&trial.confirmed);
        self.problems.policy.clear();
        let serial = self.current.as_deref().map(|it| it.stored.identity.serial);
        info!(serial, "back to the policy that was confirmed last");
        self.attach_as_named();
        if let Err(error) = self.datapath.go_back() {
            self.policy_problem(error.to_string());
        }
        if let Some(tried) = tried {
            if let Some(now) = self.current.clone() {
                let adoption = Adoption::of(Some(&tried), now.policy(), &now.facts);
                self.adopt_connections(&adoption, &now.image);
            }
            self.close(event, &tried.stored, trial.within, reason);
        }
        self.follow_policy();
        Ok(())
    }

    /// Writes down how the trial of a policy ended. Where that fails, an agent that starts does it.
    pub(super) fn close(
        &mut self,
        event: Event,
        tried: &Stored,
        within: Duration,
        reason: &Reason,
    ) {
        let noted = self.note(event, tried, None, reason);
        let ended = noted.and_then(|_| self.store.end_trial());
        if let Err(error) = ended {
            self.policy_problem(format!(
                "what became of a policy is not written down: {error}"
            ));
        }
        if event == Event::Lapsed {
            let serial = tried.identity.serial;
            let now = self.current.as_deref().map_or_else(
                || "nothing is enforced, as before".to_owned(),
                |current| {
                    format!(
                        "serial {} is in force again",
                        current.stored.identity.serial
                    )
                },
            );
            self.policy_problem(format!(
                "serial {serial} was not confirmed within {} s: {now}. Once it is right, apply it \
                 again",
                within.as_secs()
            ));
        }
    }

    /// Attaches to what the policy in force names, and to nothing else.
    pub(super) fn attach_as_named(&mut self) {
        let carriers = self.current.as_deref().map_or_else(Vec::new, |current| {
            self.interfaces.carriers_present(current.policy()).0
        });
        let attached = self.datapath.attach(&carriers, &self.interfaces);
        let released = attached.and_then(|attachments| {
            self.attachments = attachments;
            self.datapath
                .release_others(&self.attachments, &self.interfaces)
        });
        if let Err(error) = released {
            self.problem(
                Kind::CannotAttach,
                format!("programs stay attached as they were: {error}"),
            );
        }
    }

    /// Adds to the history.
    pub(super) fn note(
        &self,
        event: Event,
        stored: &Stored,
        within: Option<Duration>,
        reason: &Reason,
    ) -> Result<Added, StoreError> {
        let reason = reason.clone();
        self.store.history().add(Entry {
            number: 0,
            time: now(),
            event,
            serial: stored.identity.serial,
            digest: hash(&stored.text),
            file: stored.file.clone(),
            confirm_within: within.map(|within| within.as_secs()),
            restores: reason.restores,
            door: None,
            message: reason.message,
            who: reason.who,
            before: String::new(),
        })
    }

    /// Notes which connections are open now that the trial of a policy has begun.
    pub(super) fn note_connections(
        &self,
        identity: Identity,
        within: Duration,
    ) -> Option<BTreeSet<Connection>> {
        let connections = connections().inspect_err(|error| {
            warn!(%error, "connections cannot be listed: confirm from the console");
        });
        let record = TrialRecord {
            identity,
            within: within.as_secs(),
            connections: connections.ok(),
        };
        if let Err(error) = self.store.begin_trial(&record) {
            warn!("{error}");
        }
        record.connections
    }

    pub(super) fn policy_problem(&mut self, problem: String) {
        warn!("{problem}");
        self.problems.policy.push(problem);
    }
}
