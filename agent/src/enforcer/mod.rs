//! Keeping a policy enforced: from its text to the kernel, and as the host changes.
//!
//! Three things go on beside each other, reached through a [`Handle`]:
//!
//! - the life of the policy ([`Enforcer`]): started, applied, adapted to the host, detached. It
//!   posts a [`View`] of what is enforced with every change;
//! - observation ([`View`] and [`Observer`]): what is enforced, counted and open;
//! - explanation ([`Explainers`]): what would happen to a packet.
//!
//! Every change is made in an order that leaves the old policy in force until the new one is
//! complete: validated, compiled, on disk, attached, published. A failure on the way changes
//! nothing.

mod adapt;
mod adopt;
mod apply_error;
mod break_glass;
mod change;
mod check;
mod compile;
mod coverage;
mod door;
mod explanation;
mod flows;
mod handle;
mod held;
mod history;
mod host;
mod idle;
mod observer;
mod patch;
mod pressure;
mod problem;
pub mod rescue;
mod session;
mod shadow;
mod start;
mod trial;
mod view;
mod watch;

pub use apply_error::ApplyError;
pub use break_glass::{BreakGlassError, DoorOrder, Glass};
pub use change::{Applied, Order};
pub use check::{Difference, Review};
pub use coverage::Coverage;
pub use explanation::{AnswerError, Explainers, Explanation, KernelSays};
pub use flows::{FlowList, FlowQuery, FlowsCut, ListError, NamedFlow};
pub use handle::Handle;
pub use history::{RollBackError, Verification};
pub use host::host_facts;
pub use observer::Observer;
pub use patch::PatchPolicyError;
pub use problem::Problem;
pub use session::Session;
pub use shadow::{ReportError, ShadowReport, ShadowRow, TryError, Trying};
pub use start::StartError;
pub use trial::{ConfirmError, Place, Trial};
pub use view::{Board, Current, View};

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use tracing::warn;

use crate::{
    config::{Config, DoorMode},
    datapath::{
        Attachment, CounterError, Counters, Datapath, Features, PinError, interface::Interfaces,
    },
    leases::Registry,
    store::{
        Store,
        history::{Event, Reason},
    },
};
use break_glass::Emergency;
use held::Held;
use problem::Kind;
use shadow::Beside;
use view::Poster;
use watch::Watch;

/// What the enforcer has found wrong, in sentences.
#[derive(Default)]
struct Problems {
    /// With the policy, until one is applied.
    policy: Vec<String>,
    /// With the host, as it is now.
    host: Vec<Problem>,
    /// With connections that were to be taken over.
    flows: Vec<String>,
    /// Whether connections of sockets were to be taken over, and have not been.
    sockets_missed: bool,
    /// With how full the table of flows is.
    pressure: Option<String>,
    /// With the candidate that is tried.
    shadow: Option<Problem>,
}

/// The agent's hold on the kernel: all that changes with the policy and with the host.
pub struct Enforcer {
    config: Config,
    features: Features,
    store: Store,
    datapath: Datapath,
    counters: Counters,
    current: Option<Arc<Current>>,
    /// Set while the policy in force is on trial.
    trial: Option<Arc<Trial>>,
    /// The candidate that judges beside it.
    shadow: Option<Beside>,
    attachments: Vec<Attachment>,
    interfaces: Arc<Interfaces>,
    held: Held,
    /// What the inner door does.
    door: DoorMode,
    /// Whether it is attached.
    door_open: bool,
    door_problem: Option<Problem>,
    emergency: Emergency,
    problems: Problems,
    watch: Watch,
    /// Who has proven who it is, where that is asked for.
    registry: Option<Arc<Registry>>,
    started: Timestamp,
    poster: Poster,
}

impl Enforcer {
    /// Does what may change what is enforced, and posts what has come of it.
    fn changing<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let _under_way = self.poster.change();
        let done = change(self);
        if self.current.is_some() {
            self.verify();
        }
        self.follow_door();
        self.follow_break_glass();
        self.follow_shadow();
        self.post();
        done
    }

    fn post(&self) {
        let Problems {
            policy,
            host,
            flows,
            sockets_missed: _,
            pressure,
            shadow,
        } = &self.problems;
        let found = Kind::Policy
            .problems(policy)
            .chain(host.iter().cloned())
            .chain(Kind::Connections.problems(flows))
            .chain(Kind::FlowTable.problems(pressure.as_slice()))
            .chain(self.watch.problems())
            .chain(self.door_problem.clone())
            .chain(self.emergency.problems.iter().cloned())
            .chain(shadow.clone());
        let found = found.collect();
        self.poster.post(View {
            hook: self.config.hook,
            started: self.started,
            enrolment: self.config.enrolment.as_ref().map(|proofs| proofs.port),
            current: self.current.clone(),
            trial: self.trial.clone(),
            trying: self.shadow.as_ref().map(|it| Arc::clone(&it.trying)),
            attachments: self.attachments.clone(),
            interfaces: Arc::clone(&self.interfaces),
            registry: self.registry.clone(),
            found,
            verified: self.watch.verified,
            inside: self.config.inside.clone(),
            door: self.door,
            door_open: self.door_open,
            glass: self.emergency.glass.clone(),
        });
    }

    /// Where what is enforced is found.
    #[must_use]
    pub fn board(&self) -> Board {
        self.poster.board()
    }

    /// Reads what the programs keep.
    ///
    /// # Errors
    ///
    /// Counters that are not there.
    pub fn observer(&self) -> Result<Observer, CounterError> {
        Observer::open(self.datapath.pins(), self.store.clone())
    }

    /// Explains what the programs do.
    #[must_use]
    pub fn explainers(&self) -> Explainers {
        let pins = self.datapath.pins().clone();
        Explainers::new(pins, self.config.hook, self.features)
    }

    /// Has the leases of `registry` follow the policy.
    pub fn set_registry(&mut self, registry: Arc<Registry>) {
        registry.inherit();
        self.registry = Some(registry);
        self.follow_policy();
        self.post();
    }

    fn follow_policy(&self) {
        if let (Some(registry), Some(current)) = (&self.registry, &self.current) {
            let confirmed = self.trial.as_deref().and_then(Trial::confirmed);
            registry.follow(
                (current.policy(), current.numbers()),
                confirmed.map(|it| (it.policy(), it.numbers())),
                &self.interfaces,
            );
        }
    }

    /// Makes up for what has failed, verifies what is attached, and pins again what was unpinned by somebody, so that it
    /// outlives the agent.
    pub fn keep(&mut self) {
        self.end_overdue();
        self.follow_break_glass();
        if self.current.is_none() {
            self.post();
            return;
        }
        self.adopt_missed();
        match self.datapath.keep_pins() {
            Ok(0) => {}
            Ok(pins) => warn!(pins, "somebody has removed pins: pinned again"),
            Err(error) => warn!(%error, "somebody has removed pins, and they cannot be replaced"),
        }
        self.verify();
        self.follow_door();
        self.watch_flows();
        self.post();
        self.keep_shadow();
    }

    /// Detaches from every interface and removes all pins; nothing is enforced any more. The
    /// interfaces that were.
    ///
    /// # Errors
    ///
    /// A pin that cannot be removed.
    pub fn detach(&mut self) -> Result<Vec<String>, PinError> {
        self.changing(|enforcer| {
            enforcer.datapath.remove_pins()?;
            enforcer.forget_trying();
            enforcer.forget_doors();
            let current = enforcer.current.take();
            if let (Some(trial), Some(tried)) = (enforcer.trial.take(), current) {
                let reason = Reason::default();
                enforcer.close(Event::Cancelled, &tried.stored, trial.within, &reason);
            }
            let attachments = std::mem::take(&mut enforcer.attachments);
            let names = attachments
                .into_iter()
                .map(|attachment| attachment.interface);
            let names: BTreeSet<_> = names.collect();
            Ok(names.into_iter().collect())
        })
    }
}

/// The time as RFC 3339, in whole seconds.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
