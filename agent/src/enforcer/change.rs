//! Changing what is enforced.

use std::time::Instant;

use thiserror::Error;
use tracing::{info, warn};
use verdict::frame::transport::IpProtocol;

use super::{Current, Enforcer, adopt::protects_more, host_facts, now, session};
use crate::{
    control::api::{Applied, Session},
    datapath::{
        AttachError, CounterError, PublishError,
        interface::{Carrier, InterfaceError, Interfaces},
    },
    image::{self, CompileError, Facts, Image, Numbers},
    policy::{self, Authenticate, ENROLMENT, Policy, PolicyError, Validated},
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

/// Measures the parts of a change.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the start or the last lap.
    fn lap_ms(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before).as_millis() as u64
    }
}

/// A policy compiled for this host.
pub(super) struct Compiled {
    facts: Facts,
    image: Image,
    numbers: Numbers,
}

impl Enforcer {
    /// Enforces the policy in `text`. With `session`, refuses one that would cut it.
    pub fn apply(
        &mut self,
        text: &str,
        file: &str,
        session: Option<Session>,
        interfaces: Interfaces,
    ) -> Result<Applied, ApplyError> {
        let mut clock = Stopwatch::start();
        let validated = policy::read(text, file).map_err(Box::new)?;
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(text),
        };
        self.check_serial(identity)?;
        let read_ms = clock.lap_ms();
        let carriers = interfaces.carriers(&validated.policy)?;
        let compiled = self.compile(&validated.policy, &interfaces, identity)?;
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
        let compile_ms = clock.lap_ms();
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
        self.interfaces = interfaces;
        let more = protects_more(self.current.as_ref(), &validated.policy, &compiled.facts);
        self.enforce(&compiled.image, &carriers, more)?;
        // From here on it is in force: what fails now is told, and is no reason to say otherwise.
        let forgotten = self.store.set_current(prepared).err();
        let before = self
            .current
            .as_ref()
            .map(|current| &current.validated.policy);
        let applied = Applied {
            serial: identity.serial,
            changes: policy::diff(before, &validated.policy),
            lints: validated.lint(Some(&host_facts(&self.interfaces))),
            addresses: addresses(&validated.policy),
            image_bytes: compiled.image.kernel_bytes(),
            read_ms,
            compile_ms,
            publish_ms: clock.lap_ms(),
        };
        info!(
            serial = identity.serial,
            name = validated.policy.name,
            "policy applied"
        );
        let (facts, image) = (compiled.facts, compiled.image);
        self.current = Some(Current {
            stored,
            validated,
            image,
            facts,
        });
        self.follow_policy();
        self.policy_problems.clear();
        self.host_problems.clear();
        if let Some(error) = forgotten {
            let serial = identity.serial;
            let problem = format!("serial {serial} is in force until the host restarts: {error}");
            warn!("{problem}");
            self.policy_problems.push(problem);
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

    pub(super) fn compile(
        &self,
        policy: &Policy,
        interfaces: &Interfaces,
        identity: Identity,
    ) -> Result<Compiled, ApplyError> {
        let proving = policy
            .endpoints
            .iter()
            .find(|(_, endpoint)| endpoint.authenticate != Authenticate::Address);
        if let Some((name, _)) = proving {
            let Some(enrolment) = &self.config.enrolment else {
                return Err(ApplyError::NoEnrolment(name.clone()));
            };
            if !admits(policy, enrolment.port) {
                return Err(ApplyError::EnrolmentPort(enrolment.port));
            }
        }
        let facts = interfaces.facts(policy);
        let before = self.current.as_ref().map(|current| &current.stored.numbers);
        let numbers = before
            .unwrap_or(&Numbers::default())
            .carried_to(policy)
            .ok_or(CompileError::TooManyNames)?;
        let mut image = image::compile(policy, &facts, &numbers)?;
        image.identify(identity.digest);
        Ok(Compiled {
            facts,
            image,
            numbers,
        })
    }

    /// Clears the counters of every number that gets a new meaning.
    fn clear_counters(&mut self, numbers: &Numbers) -> Result<(), CounterError> {
        let none = Numbers::default();
        let before = self
            .current
            .as_ref()
            .map_or(&none, |current| &current.stored.numbers);
        self.counters.clear_rules(numbers.new_rules(before))?;
        self.counters.clear_endpoints(numbers.new_endpoints(before))
    }

    /// Publishes `image` and attaches to `carriers`, in the order in which nothing goes unjudged:
    /// a program without an image would drop everything, an interface without a program would
    /// pass everything.
    ///
    /// With `more` addresses protected than before, their connections are taken over.
    fn enforce(
        &mut self,
        image: &Image,
        carriers: &[Carrier],
        more: bool,
    ) -> Result<(), ApplyError> {
        if self.datapath.enforced()?.is_none() {
            self.datapath.publish(image)?;
            self.adopt_connections();
            self.attachments = self.datapath.attach(carriers, &self.interfaces)?;
        } else {
            let attachments = self.datapath.attach(carriers, &self.interfaces)?;
            self.datapath.publish(image)?;
            self.attachments = attachments;
            if more {
                self.adopt_connections();
            }
        }
        self.datapath
            .release_others(&self.attachments, &self.interfaces)?;
        Ok(())
    }

    /// Goes on with a policy that was in force before this agent started.
    pub(super) fn take_up(&mut self, stored: Stored, validated: Validated) {
        let image = Image::empty();
        self.current = Some(Current {
            stored,
            validated,
            image,
            facts: Facts::default(),
        });
        self.follow(self.interfaces.clone());
    }

    /// Adapts what is enforced to the host as it is now: addresses, interfaces, ports of bridges.
    ///
    /// What cannot be adapted stays as it was, and is reported.
    pub fn follow(&mut self, interfaces: Interfaces) {
        let Some(current) = self.current.take() else {
            self.interfaces = interfaces;
            return;
        };
        self.host_problems.clear();
        self.interfaces = interfaces;
        let policy = &current.validated.policy;
        let (carriers, missing) = self.interfaces.carriers_present(policy);
        for error in missing {
            self.problem(format!("{error}; everything else stays enforced"));
        }
        let adapted = self.adapt(&current, &carriers);
        self.current = Some(match adapted {
            Ok(Some(compiled)) => Current {
                image: compiled.image,
                facts: compiled.facts,
                ..current
            },
            Ok(None) => current,
            Err(error) => {
                self.problem(format!(
                    "the host changed, and what was enforced before stays: {error}"
                ));
                current
            }
        });
        self.follow_policy();
    }

    fn adapt(
        &mut self,
        current: &Current,
        carriers: &[Carrier],
    ) -> Result<Option<Compiled>, ApplyError> {
        let policy = &current.validated.policy;
        let facts = self.interfaces.facts(policy);
        let unchanged = facts == current.facts && !current.image.is_empty();
        if unchanged {
            self.attachments = self.datapath.attach(carriers, &self.interfaces)?;
            self.datapath
                .release_others(&self.attachments, &self.interfaces)?;
            return Ok(None);
        }
        let numbers = current.stored.numbers.clone();
        let mut image = image::compile(policy, &facts, &numbers)?;
        image.identify(current.stored.identity.digest);
        let known = !current.image.is_empty();
        let more = known && protects_more(Some(current), policy, &facts);
        self.enforce(&image, carriers, more)?;
        info!(addresses = facts.addresses.len(), "adapted to the host");
        Ok(Some(Compiled {
            facts,
            image,
            numbers,
        }))
    }

    fn problem(&mut self, problem: String) {
        warn!("{problem}");
        self.host_problems.push(problem);
    }
}

/// Whether the service over which endpoints prove who they are has this UDP port.
fn admits(policy: &Policy, port: u16) -> bool {
    let Some(service) = policy.services.get(ENROLMENT) else {
        return false;
    };
    service.matches.iter().any(|matched| {
        let (protocol, first, last) = matched.range();
        protocol == IpProtocol::UDP.0 && (first..=last).contains(&port)
    })
}

/// Number of addresses and prefixes in `policy`.
pub(super) fn addresses(policy: &Policy) -> usize {
    policy
        .endpoints
        .values()
        .map(|endpoint| endpoint.addresses.len())
        .sum()
}
