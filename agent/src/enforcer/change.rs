//! Changing what is enforced.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{
    ApplyError, Current, Enforcer, Trial,
    adapt::{How, Put},
    adopt::Adoption,
    check::follows,
    compile::{Compiled, Compiler},
    host_facts, now,
    session::{self, Session},
    trial::TERMS,
};
use crate::{
    datapath::{
        CounterError,
        interface::{Carrier, InterfaceError, Interfaces},
    },
    image::Numbers,
    policy::{self, Change, Lint, Policy, Validated, patch::Patched},
    signature::{self, SignatureError},
    store::{
        Identity, Stored, TrialRecord, digest,
        history::{Added, Event, Reason},
    },
};

/// A policy that is to be enforced.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The YAML.
    pub text: String,
    /// Name of the file.
    pub file: String,
    /// Sessions that it should not cut.
    pub sessions: Vec<Session>,
    /// Its signature.
    pub signature: Option<Vec<u8>>,
    /// Time within which it is to be confirmed.
    pub confirm_within: Option<Duration>,
    /// Whether it gets the next serial in place of its own.
    pub next_serial: bool,
    /// Who wants it, and why.
    pub reason: Reason,
    /// What it was patched to, if the text is that of the policy in force after a patch.
    pub patched: Option<Arc<(Validated, Vec<Patched>)>>,
}

/// What was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its serial.
    pub serial: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What is valid, but probably not intended.
    pub lints: Vec<Lint>,
    /// Number of addresses and prefixes.
    pub addresses: usize,
    /// Memory of its image in the kernel, bytes.
    pub image_bytes: u64,
    /// Time to read and validate.
    pub read: Duration,
    /// Time to compile.
    pub compile: Duration,
    /// Time until every packet was judged by it.
    pub publish: Duration,
    /// Time within which it is to be confirmed; `None` if it is in force for good.
    pub confirm_within: Option<Duration>,
    /// Serial that was in force before; `None` if there was no policy.
    pub replaces: Option<u64>,
    /// Serial that is in force again if it is not confirmed; `None` if there was no policy.
    pub goes_back_to: Option<u64>,
}

/// A policy that can be enforced.
struct Ready {
    validated: Validated,
    identity: Identity,
    carriers: Vec<Carrier>,
    /// Why some are not there.
    absent: Vec<InterfaceError>,
    /// Time within which it is to be confirmed.
    within: Option<Duration>,
    /// The policy to go back to.
    confirmed: Option<Arc<Current>>,
    compiled: Compiled,
    read: Duration,
    compile: Duration,
}

/// What was written down before a policy was enforced.
struct Written {
    added: Added,
    /// The trial that went on.
    trial: Option<TrialRecord>,
}

/// What becomes of a policy that names an interface which is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// It is refused: the name may be mistyped.
    Refuse,
    /// It is enforced on the others, and on this one when it comes.
    Report,
}

/// Measures the parts of a change.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start or the last lap.
    fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before)
    }
}

impl Enforcer {
    /// Enforces the policy of `order`.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]: the policy before is still in force.
    pub fn apply(&mut self, order: Order, interfaces: Interfaces) -> Result<Applied, ApplyError> {
        self.changing(|enforcer| enforcer.replace(order, interfaces, Missing::Refuse))
    }

    /// Applies a policy as part of a change.
    pub(super) fn replace(
        &mut self,
        order: Order,
        interfaces: Interfaces,
        missing: Missing,
    ) -> Result<Applied, ApplyError> {
        let mut order = order;
        if order.next_serial && !self.config.trusted_keys.is_empty() {
            return Err(SignatureError::Renumbered.into());
        }
        if order.next_serial {
            order.text = policy::renumbered(&order.text, &order.file, self.next_serial()?)?;
        }
        let ready = self.ready(&order, &interfaces, missing)?;
        let mut clock = Stopwatch::start();
        let Ready {
            validated,
            identity,
            carriers,
            absent,
            within,
            confirmed,
            compiled,
            ..
        } = ready;
        let reason = order.reason;
        let stored = Stored {
            identity,
            file: order.file,
            applied: now(),
            text: order.text,
            signature: order.signature,
            numbers: compiled.numbers,
        };
        self.store.save(&stored)?;
        let prepared = match within {
            None => Some(self.store.prepare(identity)?),
            Some(_) => None,
        };
        self.clear_counters(&stored.numbers)?;
        self.interfaces = Arc::new(interfaces);
        let adoption = Adoption::of(self.current.as_deref(), &validated.policy, &compiled.facts);
        let how = within.map_or(How::ForGood, How::OnTrial);
        let written = self.write_down(&stored, how, &reason)?;
        let put = Put {
            image: &compiled.image,
            carriers: &carriers,
            confirmed: confirmed.as_deref(),
            how,
            adoption,
        };
        if let Err(error) = self.enforce(&put) {
            self.take_back(&written);
            return Err(error);
        }
        // From here on it is in force: what fails now is told, and is no reason to say otherwise.
        let forgotten = prepared.and_then(|prepared| self.store.set_current(prepared).err());
        let before = self.current.clone();
        let current = Current {
            stored: Arc::new(stored),
            validated: Arc::new(validated),
            image: compiled.image,
            facts: compiled.facts,
        };
        let policy = current.policy();
        let patched = order.patched.as_deref();
        let (changes, lints) = self.remarkable(&current, before.as_deref(), patched);
        let applied = Applied {
            serial: identity.serial,
            changes,
            lints,
            addresses: current.addresses(),
            image_bytes: current.image.kernel_bytes(),
            read: ready.read,
            compile: ready.compile,
            publish: clock.lap(),
            confirm_within: within,
            replaces: before.as_deref().map(|it| it.stored.identity.serial),
            goes_back_to: confirmed.as_deref().map(|it| it.stored.identity.serial),
        };
        info!(
            serial = identity.serial,
            name = policy.name,
            confirm_within = within.map(|within| within.as_secs()),
            "policy applied"
        );
        self.hold(current.policy(), within.is_none());
        self.current = Some(Arc::new(current));
        self.trial = within.map(|within| {
            Arc::new(Trial {
                confirmed,
                ends: Instant::now() + within,
                within,
                connections: self.note_connections(identity, within),
            })
        });
        self.follow_policy();
        self.problems.policy.clear();
        self.problems.host.clear();
        self.report_missing(absent);
        if let Some(error) = forgotten {
            let serial = identity.serial;
            self.policy_problem(format!(
                "serial {serial} is in force until the host restarts: {error}"
            ));
        }
        Ok(applied)
    }

    /// What `current` changes, and what is to be remarked about it; nothing is of a patch, which would have
    /// been remarked before.
    fn remarkable(
        &self,
        current: &Current,
        before: Option<&Current>,
        patched: Option<&(Validated, Vec<Patched>)>,
    ) -> (Vec<Change>, Vec<Lint>) {
        if let Some((_, changes)) = patched {
            return (changes.iter().map(Change::of_patch).collect(), Vec::new());
        }
        let policy = current.policy();
        let facts = host_facts(&self.interfaces, policy);
        let changes = policy::diff(before.map(Current::policy), policy);
        (changes, current.validated.lint(Some(&facts)))
    }

    /// Holds the interfaces that `policy` names; beside those of the policy before, unless it is in force
    /// `for_good`.
    fn hold(&mut self, policy: &Policy, for_good: bool) {
        if for_good {
            self.held.forget();
        }
        self.held.hold(policy, &self.interfaces);
    }

    /// A serial that is higher than all that were ever in force.
    pub(super) fn next_serial(&self) -> Result<u64, ApplyError> {
        let entries = self.store.history().entries()?;
        let known = entries.iter().map(|entry| entry.serial);
        let current = self.current.as_ref().map(|it| it.stored.identity.serial);
        Ok(known.chain(current).max().unwrap_or(0).saturating_add(1))
    }

    /// Looks at a policy as far as that can be done before anything changes.
    fn ready(
        &self,
        order: &Order,
        interfaces: &Interfaces,
        missing: Missing,
    ) -> Result<Ready, ApplyError> {
        if let Some(within) = order.confirm_within
            && !TERMS.contains(&within.as_secs())
        {
            return Err(ApplyError::Term {
                seconds: within.as_secs(),
            });
        }
        self.check_signature(&order.text, order.signature.as_deref())?;
        let mut clock = Stopwatch::start();
        let validated = match order.patched.as_deref() {
            Some((validated, _)) => validated.clone(),
            None => policy::read(&order.text, &order.file).map_err(Box::new)?,
        };
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(&order.text),
        };
        self.check_serial(identity)?;
        let read = clock.lap();
        let (carriers, absent) = match missing {
            Missing::Refuse => (interfaces.carriers(&validated.policy)?, Vec::new()),
            Missing::Report => interfaces.carriers_present(&validated.policy),
        };
        let inherited = self.trial.as_ref().map(|trial| trial.within);
        let within = order.confirm_within.or(inherited);
        let confirmed = within.and_then(|_| self.confirmed());
        let patched = order.patched.as_deref();
        let patched = patched
            .and_then(|(_, changes)| self.patched_image(&validated, changes, interfaces, identity));
        let compiled = match patched {
            Some(compiled) => compiled,
            None => self.compiler(confirmed.as_deref()).compile(
                &validated.policy,
                interfaces,
                identity,
            )?,
        };
        if !order.sessions.is_empty() {
            let judged = session::Judged {
                policy: &validated.policy,
                image: &compiled.image,
                numbers: &compiled.numbers,
                facts: &compiled.facts,
                registry: self.registry.as_deref(),
            };
            for session in &order.sessions {
                judged.admits(session)?;
            }
        }
        Ok(Ready {
            validated,
            identity,
            carriers,
            absent,
            within,
            confirmed,
            compiled,
            read,
            compile: clock.lap(),
        })
    }

    /// The policy to go back to if one is on trial now: the one that was confirmed last.
    fn confirmed(&self) -> Option<Arc<Current>> {
        match &self.trial {
            Some(trial) => trial.confirmed.clone(),
            None => self.current.clone(),
        }
    }

    /// Writes down that a policy is about to be enforced.
    fn write_down(
        &self,
        stored: &Stored,
        how: How,
        reason: &Reason,
    ) -> Result<Written, ApplyError> {
        let (event, within) = match how {
            How::OnTrial(within) => (Event::Tried, Some(within)),
            How::ForGood | How::AsBefore => (Event::Applied, None),
        };
        let trial = self.store.trial()?;
        if let Some(within) = within {
            self.store.begin_trial(&TrialRecord {
                identity: stored.identity,
                within: within.as_secs(),
                connections: None,
            })?;
        }
        let added = self.note(event, stored, within, reason)?;
        if within.is_none() {
            self.store.end_trial()?;
        }
        Ok(Written { added, trial })
    }

    /// Takes back what was written down of a policy that was not enforced after all.
    fn take_back(&self, written: &Written) {
        let trial = match &written.trial {
            Some(trial) => self.store.begin_trial(trial),
            None => self.store.end_trial(),
        };
        let history = self.store.history().take_back(&written.added);
        if let Err(error) = trial.and(history) {
            warn!("{error}");
        }
    }

    /// Fails unless somebody who is trusted has signed `text`, where anybody is.
    pub(super) fn check_signature(
        &self,
        text: &str,
        signature: Option<&[u8]>,
    ) -> Result<(), SignatureError> {
        let trusted = &self.config.trusted_keys;
        if trusted.is_empty() {
            return Ok(());
        }
        signature::verify(trusted, text, signature)
    }

    /// An older policy is never applied over a newer one; the same again is fine. Where policies are
    /// signed, it is not applied after a newer one either.
    pub(super) fn check_serial(&self, candidate: Identity) -> Result<(), ApplyError> {
        if !self.config.trusted_keys.is_empty() {
            let entries = self.store.history().entries()?;
            let lasting = entries.iter().filter(|entry| entry.event.lasts());
            let newer = lasting.map(|entry| entry.serial).max();
            if let Some(current) = newer.filter(|&serial| serial > candidate.serial) {
                return Err(ApplyError::Stale {
                    candidate: candidate.serial,
                    current,
                });
            }
        }
        let Some(current) = &self.current else {
            return Ok(());
        };
        follows(current.stored.identity, candidate)
    }

    /// Compiles for the names that are in force, and beside those of the policy `confirmed`.
    pub(super) fn compiler<'a>(&'a self, confirmed: Option<&'a Current>) -> Compiler<'a> {
        Compiler {
            numbers: self.current.as_deref().map(Current::numbers),
            confirmed: confirmed.map(Current::numbers),
            enrolment: self.config.enrolment.as_ref().map(|proofs| proofs.port),
        }
    }

    /// Clears the counters of every number that gets a new meaning.
    fn clear_counters(&mut self, numbers: &Numbers) -> Result<(), CounterError> {
        let numbers_of = |current: Option<&Current>| {
            current.map_or_else(Numbers::default, |current| current.numbers().clone())
        };
        let confirmed = self.trial.as_deref().and_then(Trial::confirmed);
        let before = numbers_of(self.current.as_deref()).joined(&numbers_of(confirmed));
        self.counters.clear_rules(numbers.new_rules(&before))?;
        self.counters
            .clear_endpoints(numbers.new_endpoints(&before))
    }
}
