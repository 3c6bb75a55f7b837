//! A candidate beside the policy in force: it judges the same packets, and only counts.
//!
//! It follows the host, and the policy in force: where that changes, what was counted says nothing any
//! more, and counting begins anew. It ends when somebody says so, or puts it in force.

mod report;

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;
use tracing::{info, warn};

use super::{
    Applied, ApplyError, Current, Enforcer, Order, adopt::Adoption, change::Missing,
    compile::Compiled, now, problem::Kind,
};
use crate::{
    config::DoorMode,
    datapath::{DoorError, LoadError, Pins, Shadow, ShadowError, adopt, interface::Interfaces},
    policy::{self, Policy, Validated},
    store::{Identity, StoreError, Stored, digest, shadow::ShadowRecord},
};

pub use report::{ReportError, ShadowReport, ShadowRow};

/// Why no candidate judges, or it is not put in force.
#[derive(Debug, Error)]
pub enum TryError {
    /// There is nothing that it could be compared with.
    #[error("there is no policy that the candidate could be compared with")]
    NoPolicy,
    /// There is no candidate.
    #[error("no policy is being tried. `manoward policy try FILE` begins")]
    NothingTried,
    /// It could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The kernel does not take it.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    /// The programs cannot be told.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The programs at the sockets cannot be exchanged.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A candidate that judges beside the policy in force.
#[derive(Debug)]
pub struct Trying {
    /// The candidate, in all its forms.
    pub candidate: Current,
    /// Since when it is compared with what is in force.
    pub since: Timestamp,
    /// Serial of that.
    pub beside: u64,
    /// Where it counts.
    pub pins: Pins,
    /// Whether its programs are yet to be loaded, by an agent that has just started: what was counted
    /// before is told, and nothing is added meanwhile.
    pub loading: bool,
    /// Interfaces that it names, and where nothing judges as the policy in force does not name them.
    pub unseen: Vec<String>,
    /// Interfaces that it does not name, and where it judges all the same.
    pub beyond: Vec<String>,
}

/// The candidate, as the enforcer holds it.
pub(super) struct Beside {
    pub(super) trying: Arc<Trying>,
    /// What judges; `None` while it is yet to be loaded.
    shadow: Option<Shadow>,
    /// What it is compared with.
    with: Identity,
}

impl Enforcer {
    /// Has the policy of `order` judge beside the one in force, in place of another candidate.
    ///
    /// # Errors
    ///
    /// [`TryError`]: what is enforced stays as it is, and so does the candidate before, unless the kernel
    /// refuses this one.
    pub fn try_beside(
        &mut self,
        order: Order,
        interfaces: Interfaces,
    ) -> Result<Arc<Trying>, TryError> {
        self.changing(|enforcer| {
            enforcer.interfaces = Arc::new(interfaces);
            let record = ShadowRecord {
                text: order.text,
                file: order.file,
                signature: order.signature,
                since: Timestamp::now(),
                beside: enforcer.in_force()?.digest,
            };
            let (validated, compiled) = enforcer.readied(&record)?;
            // A name that is mistyped. Later, interfaces may come and go.
            let carriers = enforcer.interfaces.carriers(&validated.policy);
            carriers.map_err(ApplyError::from)?;
            enforcer.end_shadow()?;
            enforcer.problems.shadow = None;
            enforcer.store.keep_shadow(&record)?;
            let pins = enforcer.datapath.pins().of_shadow();
            let trying = Arc::new(enforcer.told(record, validated, compiled, pins));
            let begun = enforcer.begin_shadow(&trying, false);
            if begun.is_err() {
                enforcer.give_up();
            }
            begun.map(|()| trying)
        })
    }

    /// Ends the candidate. Its serial.
    ///
    /// # Errors
    ///
    /// [`TryError::NothingTried`], or that it cannot be ended completely.
    pub fn stop_trying(&mut self) -> Result<u64, TryError> {
        self.changing(|enforcer| {
            let trying = enforcer.trying()?;
            enforcer.end_shadow()?;
            enforcer.problems.shadow = None;
            Ok(trying.candidate.stored.identity.serial)
        })
    }

    /// Puts the candidate in force, by all the rules by which `order` would.
    ///
    /// # Errors
    ///
    /// [`TryError`]: the policy before is in force, and the candidate judges beside it.
    pub fn promote(&mut self, order: Order, interfaces: Interfaces) -> Result<Applied, TryError> {
        self.changing(|enforcer| {
            let trying = enforcer.trying()?;
            let stored = &trying.candidate.stored;
            let mut order = Order {
                text: stored.text.clone(),
                file: stored.file.clone(),
                signature: stored.signature.clone(),
                ..order
            };
            let tried = || {
                let seconds = trying.since.as_second();
                let since = Timestamp::from_second(seconds).unwrap_or(trying.since);
                format!("tried beside serial {} since {since}", trying.beside)
            };
            order.reason.message.get_or_insert_with(tried);
            let applied = enforcer.replace(order, interfaces, Missing::Refuse)?;
            if let Err(error) = enforcer.end_shadow() {
                enforcer.shadow_problem(format!(
                    "the candidate is in force, and still tried: {error}"
                ));
            }
            Ok(applied)
        })
    }

    /// Takes up the candidate of the agent before, whose programs are [loaded](Self::keep_shadow) once the
    /// host is protected.
    pub(super) fn resume_shadow(&mut self) {
        let record = match self.store.shadow() {
            Ok(Some(record)) => record,
            Ok(None) => return self.give_up(),
            Err(error) => return self.shadow_problem(error.to_string()),
        };
        let resumed = self.in_force().and_then(|with| {
            let (validated, compiled) = self.readied(&record)?;
            let pins = self.datapath.pins().of_shadow();
            let trying = Trying {
                loading: true,
                ..self.told(record, validated, compiled, pins)
            };
            Ok(Beside {
                trying: Arc::new(trying),
                shadow: None,
                with,
            })
        });
        match resumed {
            Ok(beside) => self.shadow = Some(beside),
            Err(error) => self.end_because(&error),
        }
    }

    /// Loads the programs of a candidate that was taken up.
    pub(super) fn keep_shadow(&mut self) {
        let is_kept = |it: &Beside| it.shadow.is_some();
        if self.shadow.as_ref().is_none_or(is_kept) {
            return;
        }
        let begun = self.changing(|enforcer| {
            let record = enforcer.store.shadow()?.ok_or(TryError::NothingTried)?;
            let with = enforcer.in_force()?;
            let pins = enforcer.datapath.pins().of_shadow();
            let counted = pins.exist() && record.beside == with.digest;
            let record = ShadowRecord {
                since: if counted {
                    record.since
                } else {
                    Timestamp::now()
                },
                beside: with.digest,
                ..record
            };
            enforcer.store.keep_shadow(&record)?;
            let (validated, compiled) = enforcer.readied(&record)?;
            let trying = Arc::new(enforcer.told(record, validated, compiled, pins));
            enforcer.begin_shadow(&trying, counted)
        });
        if let Err(error) = begun {
            self.end_because(&error);
            self.post();
        }
    }

    fn end_because(&mut self, error: &TryError) {
        self.give_up();
        self.shadow_problem(format!("the candidate is not tried any more: {error}"));
    }

    /// Has the candidate follow the host and the policy in force.
    pub(super) fn follow_shadow(&mut self) {
        let Some(beside) = self.shadow.take() else {
            return;
        };
        match self.followed(beside) {
            Ok(beside) => self.shadow = Some(beside),
            Err(error) => self.end_because(&error),
        }
    }

    fn followed(&mut self, mut beside: Beside) -> Result<Beside, TryError> {
        let with = self.in_force()?;
        let trying = &beside.trying;
        let candidate = &trying.candidate;
        let is_same =
            with == beside.with && self.interfaces.facts(candidate.policy()) == candidate.facts;
        let Some(shadow) = beside.shadow.as_mut() else {
            return Ok(beside);
        };
        shadow
            .follow_exemptions(&mut self.datapath)
            .map_err(ShadowError::from)?;
        if is_same {
            return Ok(beside);
        }
        let stored = &candidate.stored;
        let since = if with == beside.with {
            trying.since
        } else {
            Timestamp::now()
        };
        let record = ShadowRecord {
            text: stored.text.clone(),
            file: stored.file.clone(),
            signature: stored.signature.clone(),
            since,
            beside: with.digest,
        };
        let (validated, compiled) = self.readied(&record)?;
        shadow.publish(&compiled.image).map_err(ShadowError::from)?;
        if with != beside.with {
            shadow.forget()?;
            self.store.keep_shadow(&record)?;
            info!(
                serial = with.serial,
                "the candidate is compared with another policy"
            );
        }
        let pins = trying.pins.clone();
        beside.trying = Arc::new(self.told(record, validated, compiled, pins));
        beside.with = with;
        Ok(beside)
    }

    /// The candidate that judges.
    fn trying(&self) -> Result<Arc<Trying>, TryError> {
        let beside = self.shadow.as_ref().ok_or(TryError::NothingTried)?;
        Ok(Arc::clone(&beside.trying))
    }

    /// What a candidate is compared with.
    fn in_force(&self) -> Result<Identity, TryError> {
        let current = self.current.as_deref().ok_or(TryError::NoPolicy)?;
        Ok(current.stored.identity)
    }

    /// Reads and compiles a candidate.
    fn readied(&self, record: &ShadowRecord) -> Result<(Validated, Compiled), TryError> {
        self.check_signature(&record.text, record.signature.as_deref())
            .map_err(ApplyError::from)?;
        let validated = policy::read(&record.text, &record.file)
            .map_err(|error| ApplyError::from(Box::new(error)))?;
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(&record.text),
        };
        let confirmed = self.trial.as_deref().and_then(super::Trial::confirmed);
        let compiled =
            self.compiler(confirmed)
                .compile(&validated.policy, &self.interfaces, identity)?;
        Ok((validated, compiled))
    }

    /// Loads the programs of a candidate, and has those that enforce hand on to them.
    fn begin_shadow(&mut self, trying: &Arc<Trying>, counted: bool) -> Result<(), TryError> {
        let with = self.in_force()?;
        let candidate = &trying.candidate;
        let with_door = self.door != DoorMode::Off && self.features.sockets.is_some();
        let mut shadow = Shadow::load(&mut self.datapath, &candidate.image, with_door, counted)?;
        let adoption = Adoption::of(
            self.current.as_deref(),
            candidate.policy(),
            &candidate.facts,
        );
        if adoption != Adoption::Nothing
            && let Err(error) = adopt(shadow.pins(), &candidate.image)
        {
            warn!(%error, "the candidate does not know the connections that are open");
        }
        self.datapath.watch(&mut shadow)?;
        self.exchange()?;
        // What was opened meanwhile.
        shadow.take_flows(self.datapath.pins())?;
        let serial = candidate.stored.identity.serial;
        info!(serial, beside = trying.beside, "policy tried");
        self.shadow = Some(Beside {
            trying: Arc::clone(trying),
            shadow: Some(shadow),
            with,
        });
        Ok(())
    }

    /// What is told of a candidate.
    fn told(
        &self,
        record: ShadowRecord,
        validated: Validated,
        compiled: Compiled,
        pins: Pins,
    ) -> Trying {
        let current = self.current.as_deref();
        let names = |policy: &Policy| {
            let (carriers, _) = self.interfaces.carriers_present(policy);
            carriers.into_iter().map(|carrier| carrier.name)
        };
        let of_candidate: Vec<String> = names(&validated.policy).collect();
        let in_force: Vec<String> =
            current.map_or_else(Vec::new, |it| names(it.policy()).collect());
        let without = |these: &[String], those: &[String]| {
            let only = these.iter().filter(|name| !those.contains(name));
            only.cloned().collect()
        };
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(&record.text),
        };
        Trying {
            candidate: Current {
                stored: Arc::new(Stored {
                    identity,
                    file: record.file,
                    applied: now(),
                    text: record.text,
                    signature: record.signature,
                    numbers: compiled.numbers,
                }),
                validated: Arc::new(validated),
                image: compiled.image,
                facts: compiled.facts,
            },
            since: record.since,
            beside: current.map_or(0, |current| current.stored.identity.serial),
            pins,
            loading: false,
            unseen: without(&of_candidate, &in_force),
            beyond: without(&in_force, &of_candidate),
        }
    }

    /// Exchanges what is attached for the programs that are meant now.
    fn exchange(&mut self) -> Result<(), TryError> {
        if let Some(current) = self.current.clone() {
            let (carriers, _) = self.interfaces.carriers_present(current.policy());
            self.attach_each(&carriers)?;
        }
        if self.door_open {
            self.datapath.open_door()?;
        }
        Ok(())
    }

    /// Ends the candidate, if there is one.
    fn end_shadow(&mut self) -> Result<(), TryError> {
        self.store.forget_shadow()?;
        let Some(beside) = self.shadow.take() else {
            return Ok(());
        };
        self.datapath.unwatch();
        self.exchange()?;
        self.datapath.end_watch()?;
        beside.trying.pins.remove().map_err(ShadowError::from)?;
        info!("the candidate is not tried any more");
        Ok(())
    }

    /// Removes what is left of a candidate that could not be tried, or of one that an agent before has
    /// tried.
    fn give_up(&mut self) {
        self.shadow = None;
        self.datapath.unwatch();
        let pins = self.datapath.pins().of_shadow();
        if !pins.exist() {
            return;
        }
        let ended = self
            .exchange()
            .and_then(|()| Ok(self.datapath.end_watch()?))
            .and_then(|()| Ok(pins.remove().map_err(ShadowError::from)?))
            .and_then(|()| Ok(self.store.forget_shadow()?));
        if let Err(error) = ended {
            self.shadow_problem(format!("what is left of a candidate stays: {error}"));
        }
    }

    /// After everything was detached: there is nothing left to compare with.
    pub(super) fn forget_trying(&mut self) {
        self.datapath.unwatch();
        self.shadow = None;
        self.problems.shadow = None;
        if let Err(error) = self.store.forget_shadow() {
            warn!("{error}");
        }
    }

    fn shadow_problem(&mut self, problem: String) {
        warn!("{problem}");
        self.problems.shadow = Some(Kind::Shadow.problem(problem));
    }
}
