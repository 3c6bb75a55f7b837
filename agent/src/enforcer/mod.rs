//! Keeping a policy enforced: from its text to the kernel, and as the host changes.
//!
//! Every change is made in an order that leaves the old policy in force until the new one is
//! complete: validated, compiled, on disk, attached, published. A failure on the way changes
//! nothing.

mod adopt;
mod answer;
mod change;
mod check;
mod flows;
mod host;
mod report;
mod session;
mod start;

pub use answer::AnswerError;
pub use change::ApplyError;
pub use flows::{Filter, FlowQueryError};
pub use host::host_facts;
pub use start::StartError;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tracing::warn;

use crate::{
    config::Config,
    control::api::LeaseList,
    datapath::{
        Attachment, Counters, Datapath, Explainer, Features, Pins, Program, interface::Interfaces,
    },
    image::{Facts, Image},
    leases::Registry,
    policy::Validated,
    store::{Store, Stored},
};

/// A policy in force, in all its forms.
#[derive(Debug)]
pub struct Current {
    /// Text, identity and numbers.
    pub stored: Stored,
    /// The validated policy.
    pub validated: Validated,
    /// What the kernel reads.
    pub image: Image,
    /// What it was compiled for.
    pub facts: Facts,
}

/// The agent's hold on the kernel.
pub struct Enforcer {
    config: Config,
    features: Features,
    store: Store,
    datapath: Datapath,
    counters: Counters,
    explainers: BTreeMap<Program, Explainer>,
    current: Option<Current>,
    attachments: Vec<Attachment>,
    interfaces: Interfaces,
    /// What is wrong with the host, as it is now.
    host_problems: Vec<String>,
    /// What is wrong with connections that were to be taken over.
    flow_problems: Vec<String>,
    /// Whether connections of sockets were to be taken over, and have not been.
    sockets_missed: bool,
    /// What is wrong with the policy, until one is applied.
    policy_problems: Vec<String>,
    /// Who has proven who it is, where that is asked for.
    registry: Option<Arc<Registry>>,
    started: Timestamp,
}

impl Enforcer {
    /// The policy in force.
    #[must_use]
    pub fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// Has the leases of `registry` follow the policy.
    pub fn set_registry(&mut self, registry: Arc<Registry>) {
        registry.inherit();
        self.registry = Some(registry);
        self.follow_policy();
    }

    /// The leases' registry, if this agent gives any.
    #[must_use]
    pub fn registry(&self) -> Option<&Registry> {
        self.registry.as_deref()
    }

    /// Where everything is pinned.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        self.datapath.pins()
    }

    /// The leases in force.
    #[must_use]
    pub fn leases(&self) -> Option<LeaseList> {
        let mut list = self.registry.as_ref()?.list();
        for lease in &mut list.leases {
            let found = self.interfaces.get(lease.ifindex);
            lease.interface = found.map(|interface| interface.name.clone());
        }
        Some(list)
    }

    fn follow_policy(&self) {
        if let (Some(registry), Some(current)) = (&self.registry, &self.current) {
            registry.follow(
                &current.validated.policy,
                &current.stored.numbers,
                &self.interfaces,
            );
        }
    }

    /// Makes up for what has failed, and pins again what was unpinned by somebody, so that it
    /// outlives the agent.
    pub fn keep(&mut self) {
        if self.current.is_none() {
            return;
        }
        self.adopt_missed();
        match self.datapath.keep_pins() {
            Ok(0) => {}
            Ok(pins) => warn!(pins, "somebody has removed pins: pinned again"),
            Err(error) => warn!(%error, "somebody has removed pins, and they cannot be replaced"),
        }
    }

    /// The configuration that the agent runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Detaches from every interface and removes all pins; nothing is enforced any more.
    ///
    /// # Errors
    ///
    /// A pin that cannot be removed.
    pub fn detach(&mut self) -> Result<Vec<String>, crate::datapath::PinError> {
        self.datapath.remove_pins()?;
        self.current = None;
        let attachments = std::mem::take(&mut self.attachments);
        Ok(attachments
            .into_iter()
            .map(|attachment| attachment.interface)
            .collect())
    }
}

/// The time as RFC 3339, in whole seconds.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
