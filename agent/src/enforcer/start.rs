//! Taking over what is enforced, or beginning to enforce.

use std::{fs, io, sync::Arc};

use jiff::Timestamp;
use thiserror::Error;
use tracing::{info, warn};

use super::{
    Enforcer, Problems, View, change::Missing, door, held::Held, rescue, view::Poster, watch::Watch,
};
use crate::{
    config::{Classifiers, Config},
    datapath::{
        CounterError, Counters, Datapath, Features, KernelError, LoadError, Pins, PublishError,
        check_kernel, flows::FlowError, interface::Interfaces,
    },
    policy::{self, PolicyError},
    store::{Store, StoreError, Stored, digest},
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
    /// The first policy cannot be read.
    #[error("cannot read the policy {path}: {source}")]
    ReadPolicy {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The first policy is invalid.
    #[error("the policy is invalid, and there is none from before:\n{}", .0.lines().collect::<Vec<_>>().join("\n"))]
    Policy(Box<PolicyError>),
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
            Self::ReadPolicy { .. }
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
    file: String,
    serial: u64,
}

impl Enforcer {
    /// Loads the programs and goes on with the policy that was in force, or with the one in
    /// `config.policy` if that is newer.
    ///
    /// Without any policy nothing is attached, and the first `apply` begins.
    pub fn start(config: Config, interfaces: Interfaces) -> Result<Self, StartError> {
        let found = check_kernel()?;
        let features = Features {
            tcx: found.tcx && config.classifiers == Classifiers::Auto,
            ..found
        };
        let store = Store::open(&config.state)?;
        let in_kernel = Pins::new(&config.pins).exist();
        let held = Held::open(&config.state);
        let has_policy = in_kernel || store.current().is_ok_and(|it| it.is_some());
        let door = door::mode(config.door, &config.state, has_policy);
        let pins = Pins::new(&config.pins);
        let mut datapath = Datapath::load(pins.clone(), config.hook, features, config.flows)?;
        info!(
            instructions = datapath.verified_instructions(),
            "programs loaded"
        );
        let counters = Counters::open(&pins)?;
        let in_force = datapath.enforced()?;
        let started = Timestamp::now();
        let interfaces = Arc::new(interfaces);
        let poster = Poster::new(View {
            hook: config.hook,
            started,
            enrolment: None,
            current: None,
            attachments: Vec::new(),
            interfaces: Arc::clone(&interfaces),
            registry: None,
            found: Vec::new(),
            verified: None,
            inside: config.inside.clone(),
            door,
            door_open: false,
        });
        let mut enforcer = Self {
            config,
            features,
            store,
            datapath,
            counters,
            current: None,
            attachments: Vec::new(),
            interfaces,
            held,
            door,
            door_open: false,
            door_problem: None,
            problems: Problems::default(),
            watch: Watch::default(),
            registry: None,
            started,
            poster,
        };
        enforcer.changing(|enforcer| enforcer.begin(in_force))?;
        Ok(enforcer)
    }

    /// Begins with a policy; without a valid one, with what agent.yaml says.
    fn begin(&mut self, in_force: Option<u64>) -> Result<(), StartError> {
        let rescue = |digest: &u64| rescue::is_in_force(&self.config, *digest);
        let in_force = in_force.filter(|digest| !rescue(digest));
        match self.resume(in_force) {
            Err(error) if self.current.is_none() && error.is_about_the_policy() => {
                let reason = error.to_string();
                self.problems.policy.push(reason.clone());
                if in_force.is_none() {
                    self.begin_without(&reason);
                }
                Ok(())
            }
            Ok(()) if self.current.is_none() && in_force.is_none() => {
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

    /// Chooses the policy to begin with and enforces it.
    fn resume(&mut self, in_force: Option<u64>) -> Result<(), StartError> {
        let stored = self.stored(in_force)?;
        let candidate = self.newer_file(stored.as_ref())?;
        match (candidate, stored) {
            (Some(candidate), stored) => self.begin_with_file(&candidate, stored),
            (None, Some(stored)) => {
                self.begin_with_stored(stored);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// The policy that the kernel enforces, or that it did before the host was rebooted.
    fn stored(&mut self, in_force: Option<u64>) -> Result<Option<Stored>, StartError> {
        let Some(digest) = in_force else {
            return match self.store.current() {
                // The policy's file is better than none.
                Err(error @ StoreError::Damaged { .. }) => {
                    warn!("{error}");
                    self.problems.policy.push(error.to_string());
                    Ok(None)
                }
                current => Ok(current?),
            };
        };
        let stored = self.store.with_digest(digest)?;
        if stored.is_none() {
            let state = self.config.state.display();
            self.problems.policy.push(format!(
                "the kernel enforces a policy that is not in {state}; it stays in force until a \
                 policy is applied"
            ));
        }
        Ok(stored)
    }

    /// The configured policy file, if its serial is higher than that of `stored`.
    fn newer_file(&mut self, stored: Option<&Stored>) -> Result<Option<Candidate>, StartError> {
        let path = self.config.policy.display().to_string();
        let text = match fs::read_to_string(&self.config.policy) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) if stored.is_none() => return Err(StartError::ReadPolicy { path, source }),
            Err(error) => {
                self.problems
                    .policy
                    .push(format!("cannot read {path}: {error}"));
                return Ok(None);
            }
        };
        if stored.is_some_and(|stored| stored.identity.digest == digest(&text)) {
            return Ok(None);
        }
        let serial = match policy::read(&text, &path) {
            Ok(validated) => validated.policy.serial,
            Err(error) if stored.is_none() => return Err(StartError::Policy(Box::new(error))),
            Err(error) => {
                let first = error.lines().next().unwrap_or_default();
                self.problems
                    .policy
                    .push(format!("the policy before it stays in force: {first}"));
                return Ok(None);
            }
        };
        let newer = stored.is_none_or(|stored| stored.identity.serial < serial);
        Ok(newer.then_some(Candidate {
            text,
            file: path,
            serial,
        }))
    }

    fn begin_with_file(
        &mut self,
        candidate: &Candidate,
        stored: Option<Stored>,
    ) -> Result<(), StartError> {
        if let Some(stored) = stored {
            self.begin_with_stored(stored);
        }
        // A host may start before its interfaces are there.
        let missing = if self.current.is_none() {
            Missing::Report
        } else {
            Missing::Refuse
        };
        match self.replace(
            &candidate.text,
            &candidate.file,
            None,
            Interfaces::clone(&self.interfaces),
            missing,
        ) {
            Ok(_) => Ok(()),
            Err(error) if self.current.is_some() => {
                let serial = candidate.serial;
                self.problems
                    .policy
                    .push(format!("serial {serial} was not applied: {error}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
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
