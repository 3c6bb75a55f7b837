//! Taking over what is enforced, or beginning to enforce.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use thiserror::Error;
use tracing::info;

use super::{
    Current, Enforcer, Glass, Order, Problems, Trial, View,
    break_glass::Emergency,
    change::Missing,
    door,
    held::Held,
    rescue,
    session::{self, Session},
    view::Poster,
    watch::Watch,
};
use crate::{
    config::{Classifiers, Config},
    datapath::{
        CounterError, Counters, Datapath, Enforced, Features, KernelError, LoadError, Pins,
        PublishError, check_kernel, flows::FlowError, interface::Interfaces,
    },
    files::Owner,
    image::{Facts, Image},
    policy::{
        self,
        compose::{ComposeError, Composed, compose},
    },
    signature,
    store::{
        Identity, Store, StoreError, Stored, TrialRecord, digest,
        history::{Event, Reason},
    },
    worker::Panicked,
};

use super::ApplyError;

/// Why the agent cannot start. What the kernel enforced before, it still enforces.
#[derive(Debug, Error)]
pub enum StartError {
    /// The kernel cannot run the datapath.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The programs cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel's maps cannot be read.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The flows cannot be read.
    #[error(transparent)]
    Flows(#[from] FlowError),
    /// The counters cannot be opened.
    #[error(transparent)]
    Counters(#[from] CounterError),
    /// The store of policies cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a policy, and none that is signed by somebody who is trusted.
    #[error("there is no policy to enforce: {0}")]
    Untrusted(String),
    /// The policy to go back to is not known.
    #[error("the policy to go back to is not known")]
    Unknown,
    /// The first policy cannot be read.
    #[error(transparent)]
    Compose(ComposeError),
    /// The first policy is invalid.
    #[error("the policy is invalid, and there is none from before:\n{}", .0.join("\n"))]
    Policy(Vec<String>),
    /// The policy cannot be enforced on this host.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// There is no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// It panics.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl StartError {
    /// Whether another policy would do.
    const fn is_about_the_policy(&self) -> bool {
        matches!(
            self,
            Self::Compose(_)
                | Self::Policy(_)
                | Self::Apply(
                    ApplyError::Policy(_)
                        | ApplyError::Interface(_)
                        | ApplyError::Compile(_)
                        | ApplyError::NoEnrolment(_)
                        | ApplyError::EnrolmentPort(_)
                )
        )
    }
}

/// A policy to begin with.
struct Candidate {
    text: String,
    signature: Option<Vec<u8>>,
    file: String,
    serial: u64,
}

impl Enforcer {
    /// Loads the programs and goes on with the policy that was in force, or with the one in
    /// `config.policy` if that is newer.
    ///
    /// Without any policy nothing is attached, and the first `apply` begins. A file with a newer policy than
    /// the one in force does not cut those of the sessions `open` that this admits.
    pub fn start(
        config: Config,
        interfaces: Interfaces,
        open: &[Session],
    ) -> Result<Self, StartError> {
        let found = check_kernel()?;
        let features = Features {
            tcx: found.tcx && config.classifiers == Classifiers::Auto,
            ..found
        };
        let store = Store::open(&config.state)?;
        let in_kernel = Pins::new(&config.pins).exist();
        let held = Held::open(&config.state);
        let emergency = Emergency::new(&config, &store);
        let has_policy = in_kernel || store.current().is_ok_and(|it| it.is_some());
        let door = door::mode(config.door, &config.state, has_policy);
        let pins = Pins::new(&config.pins);
        let mut datapath = Datapath::load(pins.clone(), config.hook, features, config.flows)?;
        info!(
            instructions = datapath.verified_instructions(),
            "programs loaded"
        );
        let counters = Counters::open(&pins)?;
        let in_kernel = datapath.enforced()?;
        let started = Timestamp::now();
        let interfaces = Arc::new(interfaces);
        let poster = Poster::new(View {
            hook: config.hook,
            started,
            enrolment: None,
            current: None,
            trial: None,
            trying: None,
            attachments: Vec::new(),
            interfaces: Arc::clone(&interfaces),
            registry: None,
            found: Vec::new(),
            verified: None,
            inside: config.inside.clone(),
            door,
            door_open: false,
            glass: Glass::default(),
        });
        let mut enforcer = Self {
            config,
            features,
            store,
            datapath,
            counters,
            current: None,
            trial: None,
            shadow: None,
            attachments: Vec::new(),
            interfaces,
            held,
            door,
            door_open: false,
            door_problem: None,
            emergency,
            problems: Problems::default(),
            watch: Watch::default(),
            registry: None,
            started,
            poster,
        };
        enforcer.changing(|enforcer| enforcer.begin(in_kernel, open))?;
        enforcer.datapath.settle_flows()?;
        enforcer.changing(Self::resume_shadow);
        Ok(enforcer)
    }

    /// Begins with a policy; without a valid one, with what agent.yaml says.
    fn begin(&mut self, enforced: Option<Enforced>, open: &[Session]) -> Result<(), StartError> {
        let rescue = |it: &Enforced| {
            let confirmed = it.confirmed.filter(|_| it.trial.is_none());
            confirmed.is_some_and(|digest| rescue::is_in_force(&self.config, digest))
        };
        let enforced = enforced.filter(|it| !rescue(it));
        match self.resume(enforced, open) {
            Err(error) if self.current.is_none() && error.is_about_the_policy() => {
                let reason = error.to_string();
                self.problems.policy.push(reason.clone());
                if enforced.is_none() {
                    self.begin_without(&reason);
                }
                Ok(())
            }
            Ok(()) if self.current.is_none() && enforced.is_none() => {
                let policy = self.config.policy.display();
                let reason = format!("there is no policy in {policy}");
                self.begin_without(&reason);
                if self.current.is_some() {
                    self.problems
                        .policy
                        .push(format!("{reason}. Apply one with `manoward policy apply`"));
                }
                Ok(())
            }
            resumed => resumed,
        }
    }

    /// Goes on with what was in force, settles what is left of a trial, and enforces the configured
    /// policy if that is newer.
    fn resume(&mut self, enforced: Option<Enforced>, open: &[Session]) -> Result<(), StartError> {
        let record = self.trial_record();
        let stored = match enforced {
            Some(enforced) => self.enforced_policy(enforced, record.as_ref())?,
            None => self.current_policy()?,
        };
        let going_on = stored.is_some();
        if let Some(stored) = &stored {
            self.begin_with_stored(stored.clone());
        }
        if self.trial.is_none()
            && let Some(record) = record
        {
            self.settle(&record, enforced)?;
        }
        match self.newer_file(stored.as_ref())? {
            Some(candidate) => self.begin_with_file(candidate, open),
            None if going_on => Ok(()),
            None if !self.problems.policy.is_empty() && !self.config.trusted_keys.is_empty() => {
                Err(StartError::Untrusted(self.problems.policy.join("; ")))
            }
            None => Ok(()),
        }
    }

    /// What is left of a trial. One that cannot be read was not confirmed.
    fn trial_record(&mut self) -> Option<TrialRecord> {
        self.store.trial().unwrap_or_else(|error| {
            self.policy_problem(error.to_string());
            None
        })
    }

    /// The policy that was in force before the host was restarted.
    fn current_policy(&mut self) -> Result<Option<Stored>, StartError> {
        match self.store.current() {
            // The policy's file is better than none.
            Err(error @ StoreError::Damaged { .. }) => {
                self.policy_problem(error.to_string());
                Ok(None)
            }
            current => {
                let current = current?;
                if let Some(stored) = &current
                    && let Err(error) =
                        self.check_signature(&stored.text, stored.signature.as_deref())
                {
                    self.policy_problem(error.to_string());
                    return Ok(None);
                }
                Ok(current)
            }
        }
    }

    /// The policy that the kernel enforces: the one on trial while there is time left, else the one
    /// that was confirmed last.
    fn enforced_policy(
        &mut self,
        enforced: Enforced,
        record: Option<&TrialRecord>,
    ) -> Result<Option<Stored>, StartError> {
        if let Some(trial) = enforced.trial {
            let tried = match trial.digest {
                Some(digest) if !trial.left.is_zero() => self.store.with_digest(digest)?,
                _ => None,
            };
            if let Some(tried) = tried
                && let Ok(confirmed) = self.to_go_back_to(enforced.confirmed)
            {
                let within = record.map_or(trial.left, |it| Duration::from_secs(it.within));
                self.trial = Some(Arc::new(Trial {
                    confirmed,
                    ends: Instant::now() + trial.left,
                    within,
                    connections: record.and_then(|record| record.connections.clone()),
                }));
                return Ok(Some(tried));
            }
            self.datapath.go_back()?;
        }
        let Some(digest) = enforced.confirmed else {
            return Ok(None);
        };
        let stored = self.store.with_digest(digest)?;
        if stored.is_none() {
            let state = self.config.state.display();
            self.policy_problem(format!(
                "the kernel enforces a policy that is not in {state}; it stays in force until a \
                 policy is applied"
            ));
        }
        Ok(stored)
    }

    /// The policy with this digest, to go back to; an error if there is one that is not known.
    fn to_go_back_to(&self, digest: Option<u64>) -> Result<Option<Arc<Current>>, StartError> {
        let Some(digest) = digest else {
            return Ok(None);
        };
        let stored = self.store.with_digest(digest)?.ok_or(StartError::Unknown)?;
        let validated = policy::read(&stored.text, &stored.file)
            .map_err(|it| StartError::Policy(it.lines().collect()))?;
        Ok(Some(Arc::new(Current {
            stored: Arc::new(stored),
            validated: Arc::new(validated),
            image: Image::empty(),
            facts: Facts::default(),
        })))
    }

    /// Writes down how a trial ended that is over.
    fn settle(
        &mut self,
        record: &TrialRecord,
        enforced: Option<Enforced>,
    ) -> Result<(), StartError> {
        let identity = record.identity;
        if self.current.is_none() && enforced.is_some_and(|it| it.confirmed.is_none()) {
            self.attach_as_named();
        }
        let Some(tried) = self.store.find(identity)? else {
            return Ok(self.store.end_trial()?);
        };
        if enforced.is_some_and(|it| it.confirmed == Some(identity.digest)) {
            // The agent ended while it confirmed.
            let prepared = self.store.prepare(identity)?;
            self.store.set_current(prepared)?;
            return Ok(self.store.end_trial()?);
        }
        let within = Duration::from_secs(record.within);
        self.close(Event::Lapsed, &tried, within, &Reason::default());
        Ok(())
    }

    /// The configured policy file, if its serial is higher than that of `stored`.
    fn newer_file(&mut self, stored: Option<&Stored>) -> Result<Option<Candidate>, StartError> {
        let path = self.config.policy.display().to_string();
        let Composed { text, sources } = match compose(&self.config.policy, Owner::Trusted) {
            Ok(composed) => composed,
            Err(ComposeError::Read { path, source })
                if source.kind() == io::ErrorKind::NotFound && path == self.config.policy =>
            {
                return Ok(None);
            }
            Err(error) if stored.is_none() => return Err(StartError::Compose(error)),
            Err(error) => {
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                self.problems
                    .policy
                    .push(format!("the policy before it stays in force: {first}"));
                return Ok(None);
            }
        };
        if stored.is_some_and(|stored| stored.identity.digest == digest(&text)) {
            return Ok(None);
        }
        let serial = match policy::read(&text, &path) {
            Ok(validated) => validated.policy.serial,
            Err(error) if stored.is_none() => {
                return Err(StartError::Policy(sources.lines(&error)));
            }
            Err(error) => {
                let lines = sources.lines(&error);
                let first = lines.first().map_or("", String::as_str);
                self.problems
                    .policy
                    .push(format!("the policy before it stays in force: {first}"));
                return Ok(None);
            }
        };
        let identity = Identity {
            serial,
            digest: digest(&text),
        };
        let last = self.store.history().last_about(identity)?;
        if let Some(last) = last
            && last.event.ends_trial()
        {
            self.policy_problem(format!(
                "serial {serial} in {path} was not confirmed when it was tried ({}), so it is not \
                 applied by itself: apply it with `manoward policy apply`",
                last.time
            ));
            return Ok(None);
        }
        let newer = stored.is_none_or(|stored| stored.identity.serial < serial);
        let signature = signature::read(&signature::beside(&self.config.policy), Owner::Trusted);
        Ok(newer.then_some(Candidate {
            text,
            signature: signature.map_err(ApplyError::from)?,
            file: path,
            serial,
        }))
    }

    fn begin_with_file(
        &mut self,
        candidate: Candidate,
        open: &[Session],
    ) -> Result<(), StartError> {
        let order = Order {
            text: candidate.text,
            signature: candidate.signature,
            file: candidate.file,
            sessions: self
                .current
                .as_deref()
                .map(|current| session::admitted(open, current))
                .unwrap_or_default(),
            ..Order::default()
        };
        // A host may start before its interfaces are there.
        let missing = if self.current.is_none() {
            Missing::Report
        } else {
            Missing::Refuse
        };
        match self.replace(order, Interfaces::clone(&self.interfaces), missing) {
            Ok(_) => Ok(()),
            Err(error) if self.current.is_some() => {
                let serial = candidate.serial;
                self.policy_problem(format!("serial {serial} was not applied: {error}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a policy to the history that this does not know, as after an upgrade.
    fn note_if_unknown(&mut self, stored: &Stored) {
        let known = self.store.history().last_about(stored.identity);
        let noted = match known {
            Ok(None) => {
                let reason = Reason::default();
                self.note(Event::Found, stored, None, &reason).map(drop)
            }
            known => known.map(drop),
        };
        if let Err(error) = noted {
            self.policy_problem(error.to_string());
        }
    }

    /// Goes on with a policy that was applied before.
    fn begin_with_stored(&mut self, stored: Stored) {
        match policy::read(&stored.text, &stored.file) {
            Ok(validated) => {
                info!(
                    serial = stored.identity.serial,
                    name = validated.policy.name,
                    "going on"
                );
                self.note_if_unknown(&stored);
                if let Err(error) = self.check_signature(&stored.text, stored.signature.as_deref())
                {
                    self.policy_problem(format!(
                        "serial {} stays in force until another is applied: {error}",
                        stored.identity.serial
                    ));
                }
                self.take_up(stored, validated);
            }
            // Only after an upgrade that reads policies differently.
            Err(error) => {
                let first = error.lines().next().unwrap_or_default();
                self.problems.policy.push(format!(
                    "this version does not accept the policy in force, which stays: {first}"
                ));
            }
        }
    }
}
