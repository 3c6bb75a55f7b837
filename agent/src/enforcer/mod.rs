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
pub use flows::FlowQueryError;
pub use host::host_facts;
pub use start::StartError;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    config::Config,
    datapath::{
        Attachment, Counters, Datapath, Explainer, Features, Program, interface::Interfaces,
    },
    image::{Facts, Image},
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
    /// What is wrong with the policy, until one is applied.
    policy_problems: Vec<String>,
    started: Timestamp,
}

impl Enforcer {
    /// The policy in force.
    #[must_use]
    pub fn current(&self) -> Option<&Current> {
        self.current.as_ref()
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
