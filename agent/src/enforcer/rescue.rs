//! What holds while there is no valid policy to enforce: what agent.yaml says.

use tracing::warn;

use super::{Enforcer, now};
use crate::{
    config::{Config, Rescue, WithoutPolicy},
    image::Numbers,
    policy::{self, PolicyError},
    store::{Identity, Stored, digest},
};

/// Name of the policy that holds while there is none.
pub const NAME: &str = "rescue";

/// The policy that lets in whom `rescue` names, as break glass, and nobody else.
///
/// The host may open connections: it may need its network to get a policy, or its very disk.
#[must_use]
pub fn policy_text(rescue: &Rescue) -> String {
    let mac = rescue.mac.as_ref();
    let mac = mac.map_or_else(String::new, |mac| format!(", mac: \"{mac}\""));
    let interface = rescue.interface.as_ref();
    let interface = interface.map_or_else(String::new, |it| format!(", interface: \"{it}\""));
    format!(
        "apiVersion: manoward/v1\n\
         name: {NAME}\n\
         serial: 1\n\
         mode: enforce\n\
         outbound: any\n\
         interfaces: [all]\n\
         protect: [interface-addresses]\n\
         endpoints: {{}}\n\
         reference_points: {{}}\n\
         break_glass: {{ addresses: [\"{}\"], services: [{}]{mac}{interface} }}\n",
        rescue.from, rescue.service
    )
}

/// The text of that policy, if agent.yaml asks for one.
fn closed(config: &Config) -> Option<String> {
    let closed = config.without_policy == WithoutPolicy::Closed;
    config.rescue.as_ref().filter(|_| closed).map(policy_text)
}

/// Whether the kernel enforces that policy.
pub(super) fn is_in_force(config: &Config, in_force: u64) -> bool {
    closed(config).is_some_and(|text| digest(&text) == in_force)
}

impl Enforcer {
    /// Enforces what agent.yaml says about a host without a policy, which is for the given reason.
    pub(super) fn begin_without(&mut self, reason: &str) {
        let Some(text) = closed(&self.config) else {
            warn!("{reason}: nothing is enforced (`without_policy: open`)");
            return;
        };
        warn!("{reason}: only the rescue rule of agent.yaml is enforced");
        if let Err(error) = self.enforce_rescue(text) {
            let first = error.lines().next().unwrap_or_default();
            let problem = format!("the rescue rule of agent.yaml cannot be enforced: {first}");
            self.problems.policy.push(problem);
        }
    }

    fn enforce_rescue(&mut self, text: String) -> Result<(), PolicyError> {
        let validated = policy::read(&text, "agent.yaml")?;
        let numbers = Numbers::default().carried_to(&validated.policy);
        let stored = Stored {
            // Any policy has a higher one.
            identity: Identity {
                serial: 0,
                digest: digest(&text),
            },
            file: "agent.yaml".to_owned(),
            applied: now(),
            text,
            signature: None,
            numbers: numbers.unwrap_or_default(),
        };
        self.take_up(stored, validated);
        Ok(())
    }
}
