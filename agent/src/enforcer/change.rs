//! Changing what is enforced.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;
use tracing::{info, warn};

use super::{
    Current, Enforcer, Session, adopt::Adoption, compile::Compiler, host_facts, now, problem::Kind,
    session,
};
use crate::{
    datapath::{
        AttachError, CounterError, PublishError,
        interface::{Carrier, InterfaceError, Interfaces},
    },
    image::{self, CompileError, Facts, Image, Numbers},
    policy::{self, Change, Lint, PolicyError, Validated},
    store::{Identity, StoreError, Stored, digest},
};

/// Why a policy was not applied. The one before is still in force.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It has mistakes.
    #[error(transparent)]
    Policy(#[from] Box<PolicyError>),
    /// It is older than the one in force, or as old and different.
    #[error(
        "the policy has serial {candidate}, and serial {current} is in force. Give it a higher serial"
    )]
    Stale {
        /// Its serial.
        candidate: u64,
        /// The serial in force.
        current: u64,
    },
    /// It would cut the session that it is applied from.
    #[error(
        "the policy would cut the session it is applied from ({session}): {because}. Admit that session, or apply the policy with --force"
    )]
    CutsSession {
        /// The session.
        session: String,
        /// Why its packets would be dropped.
        because: String,
    },
    /// Endpoints are to show certificates to an agent that looks at none.
    #[error(
        "endpoint `{0}` shows a certificate, and this agent looks at none. Set `enrolment` in agent.yaml"
    )]
    NoEnrolment(String),
    /// Endpoints are let to another port than the one that the agent listens on.
    #[error(
        "the policy's service `enrolment` has no UDP port {0}, where this agent listens. Make the service and `enrolment.port` in agent.yaml agree"
    )]
    EnrolmentPort(u16),
    /// An interface cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// It cannot be compiled for this host.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It cannot be kept on disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A program cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The kernel did not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Counters cannot be cleared for new names.
    #[error(transparent)]
    Counters(#[from] CounterError),
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
    /// Enforces the policy in `text`. With `session`, refuses one that would cut it.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]: the policy before is still in force.
    pub fn apply(
        &mut self,
        text: &str,
        file: &str,
        session: Option<Session>,
        interfaces: Interfaces,
    ) -> Result<Applied, ApplyError> {
        self.changing(|enforcer| enforcer.replace(text, file, session, interfaces, Missing::Refuse))
    }

    /// Applies a policy as part of a change.
    pub(super) fn replace(
        &mut self,
        text: &str,
        file: &str,
        session: Option<Session>,
        interfaces: Interfaces,
        missing: Missing,
    ) -> Result<Applied, ApplyError> {
        let mut clock = Stopwatch::start();
        let validated = policy::read(text, file).map_err(Box::new)?;
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(text),
        };
        self.check_serial(identity)?;
        let read = clock.lap();
        let (carriers, mut absent) = interfaces.carriers_present(&validated.policy);
        if missing == Missing::Refuse && !absent.is_empty() {
            return Err(absent.swap_remove(0).into());
        }
        let compiled = self
            .compiler()
            .compile(&validated.policy, &interfaces, identity)?;
        if let Some(session) = session {
            session::check(
                session,
                &validated.policy,
                &compiled.image,
                &compiled.numbers,
                &compiled.facts,
                self.registry.as_deref(),
            )?;
        }
        let compile = clock.lap();
        let stored = Stored {
            identity,
            file: file.to_owned(),
            applied: now(),
            text: text.to_owned(),
            numbers: compiled.numbers,
        };
        self.store.save(&stored)?;
        let prepared = self.store.prepare(identity)?;
        self.clear_counters(&stored.numbers)?;
        self.interfaces = Arc::new(interfaces);
        let adoption = Adoption::of(self.current.as_deref(), &validated.policy, &compiled.facts);
        self.enforce(&compiled.image, &carriers, adoption)?;
        // From here on it is in force: what fails now is told, and is no reason to say otherwise.
        let forgotten = self.store.set_current(prepared).err();
        let current = Current {
            stored: Arc::new(stored),
            validated: Arc::new(validated),
            image: compiled.image,
            facts: compiled.facts,
        };
        let policy = current.policy();
        let before = self.current.as_deref().map(Current::policy);
        let applied = Applied {
            serial: identity.serial,
            changes: policy::diff(before, policy),
            lints: current.validated.lint(Some(&host_facts(&self.interfaces))),
            addresses: current.addresses(),
            image_bytes: current.image.kernel_bytes(),
            read,
            compile,
            publish: clock.lap(),
        };
        info!(
            serial = identity.serial,
            name = policy.name,
            "policy applied"
        );
        self.held.forget();
        self.held.hold(current.policy(), &self.interfaces);
        self.current = Some(Arc::new(current));
        self.follow_policy();
        self.problems.policy.clear();
        self.problems.host.clear();
        self.report_missing(absent);
        if let Some(error) = forgotten {
            let serial = identity.serial;
            let problem = format!("serial {serial} is in force until the host restarts: {error}");
            warn!("{problem}");
            self.problems.policy.push(problem);
        }
        Ok(applied)
    }

    /// An older policy is never applied over a newer one; the same again is fine.
    pub(super) fn check_serial(&self, candidate: Identity) -> Result<(), ApplyError> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let current = current.stored.identity;
        if candidate == current || candidate.serial > current.serial {
            return Ok(());
        }
        Err(ApplyError::Stale {
            candidate: candidate.serial,
            current: current.serial,
        })
    }

    /// Compiles for the names that are in force.
    fn compiler(&self) -> Compiler<'_> {
        Compiler {
            numbers: self.current.as_deref().map(Current::numbers),
            enrolment: self.config.enrolment.as_ref().map(|proofs| proofs.port),
        }
    }

    /// Clears the counters of every number that gets a new meaning.
    fn clear_counters(&mut self, numbers: &Numbers) -> Result<(), CounterError> {
        let none = Numbers::default();
        let before = self.current.as_deref().map_or(&none, Current::numbers);
        self.counters.clear_rules(numbers.new_rules(before))?;
        self.counters.clear_endpoints(numbers.new_endpoints(before))
    }

    /// Publishes `image` and attaches to `carriers`, in the order in which nothing goes unjudged:
    /// a program without an image would drop everything, an interface without a program would
    /// pass everything.
    ///
    /// Connections are taken over before the first packet is judged by it, where that is possible.
    fn enforce(
        &mut self,
        image: &Image,
        carriers: &[Carrier],
        adoption: Adoption,
    ) -> Result<(), ApplyError> {
        if self.datapath.enforced()?.is_none() {
            self.datapath.publish(image)?;
            self.adopt_connections(adoption);
            self.attachments = self.datapath.attach(carriers, &self.interfaces)?;
        } else {
            let attachments = self.datapath.attach(carriers, &self.interfaces)?;
            self.datapath.publish(image)?;
            self.attachments = attachments;
            self.adopt_connections(adoption);
        }
        self.datapath
            .release_others(&self.attachments, &self.interfaces)?;
        Ok(())
    }

    /// Goes on with a policy that was in force before this agent started.
    pub(super) fn take_up(&mut self, stored: Stored, validated: Validated) {
        self.current = Some(Arc::new(Current {
            stored: Arc::new(stored),
            validated: Arc::new(validated),
            image: Image::empty(),
            facts: Facts::default(),
        }));
        self.adapt_to(Arc::clone(&self.interfaces));
    }

    /// Adapts what is enforced to the host as it is now: addresses, interfaces, ports of bridges.
    ///
    /// What cannot be adapted stays as it was, and is reported.
    pub fn follow(&mut self, interfaces: Interfaces) {
        self.changing(|enforcer| enforcer.adapt_to(Arc::new(interfaces)));
    }

    fn adapt_to(&mut self, mut interfaces: Arc<Interfaces>) {
        if let Some(current) = &self.current {
            self.held.hold(current.policy(), &interfaces);
            Arc::make_mut(&mut interfaces).hold(self.held.by_name());
        }
        self.interfaces = interfaces;
        let Some(current) = self.current.clone() else {
            return;
        };
        self.problems.host.clear();
        let (carriers, missing) = self.interfaces.carriers_present(current.policy());
        self.report_missing(missing);
        self.report_renamed();
        match self.adapt(&current, &carriers) {
            Ok(Some((facts, image))) => {
                self.current = Some(Arc::new(Current {
                    stored: Arc::clone(&current.stored),
                    validated: Arc::clone(&current.validated),
                    image,
                    facts,
                }));
            }
            Ok(None) => {}
            Err(error) => self.problem(
                Kind::CannotFollow,
                format!("the host changed, and what was enforced before stays: {error}"),
            ),
        }
        self.follow_policy();
    }

    /// The facts and the image that are enforced now, if these are others than before.
    fn adapt(
        &mut self,
        current: &Current,
        carriers: &[Carrier],
    ) -> Result<Option<(Facts, Image)>, ApplyError> {
        let policy = current.policy();
        let facts = self.interfaces.facts(policy);
        let unchanged = facts == current.facts && !current.image.is_empty();
        if unchanged {
            self.attach_each(carriers)?;
            return Ok(None);
        }
        let mut image = image::compile(policy, &facts, current.numbers())?;
        image.identify(current.stored.identity.digest);
        let adoption = if current.image.is_empty() {
            Adoption::Host
        } else {
            Adoption::of(Some(current), policy, &facts)
        };
        if self.datapath.enforced()?.is_none() {
            self.datapath.publish(&image)?;
            self.adopt_connections(adoption);
            self.attach_each(carriers)?;
        } else {
            self.attach_each(carriers)?;
            self.datapath.publish(&image)?;
            self.adopt_connections(adoption);
        }
        info!(addresses = facts.addresses.len(), "adapted to the host");
        Ok(Some((facts, image)))
    }

    /// Attaches wherever that is possible, and reports where it is not.
    pub(super) fn attach_each(&mut self, carriers: &[Carrier]) -> Result<(), AttachError> {
        let before = self.attachments.clone();
        let (attachments, errors) =
            self.datapath
                .attach_each(carriers, &self.interfaces, &before)?;
        self.attachments = attachments;
        for error in errors {
            self.problem(Kind::CannotAttach, error.to_string());
        }
        Ok(())
    }

    fn report_missing(&mut self, missing: Vec<InterfaceError>) {
        for error in missing {
            let problem = format!("{error}; everything else is enforced");
            self.problem(Kind::InterfaceMissing, problem);
        }
    }

    fn report_renamed(&mut self) {
        let interfaces = Arc::clone(&self.interfaces);
        for (name, interface) in interfaces.renamed() {
            self.problem(Kind::InterfaceRenamed, format!(
                "`{name}` is now called `{}`, and stays enforced. Correct `interfaces` in the policy, \
                 or rename it back",
                interface.name
            ));
        }
    }

    fn problem(&mut self, kind: Kind, message: String) {
        let problem = kind.problem(message);
        if !self.problems.host.contains(&problem) {
            warn!("{}", problem.message);
            self.problems.host.push(problem);
        }
    }
}
