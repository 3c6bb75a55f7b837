//! What the agent tells about itself.

use jiff::Timestamp;
use verdict::counters;

use super::{Current, Enforcer, adopt::protected, change::addresses};
use crate::{
    control::api::{
        Count, EndpointCount, EndpointEntry, EndpointList, EnrolmentStatus, Fates, LeaseList,
        PolicyInForce, PolicyText, Stats, Status, VerdictCount,
    },
    datapath::{CounterError, HookMode},
    explain::{fate, rule},
    policy::{Authenticate, Endpoint, protocol::Mac},
};

/// Addresses of an endpoint that are listed.
const LISTED: usize = 16;

impl Enforcer {
    /// What the agent does.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started.to_string(),
            hook: self.config.hook,
            policy: self.current.as_ref().map(in_force),
            attachments: self.attachments.clone(),
            protected: self.current.as_ref().map_or_else(Vec::new, |current| {
                Vec::from_iter(protected(&current.validated.policy, &current.facts))
            }),
            enrolment: self.registry.as_ref().map(|registry| {
                let LeaseList { leases, refused } = registry.list();
                EnrolmentStatus {
                    port: registry.port(),
                    leases: leases.len(),
                    refused,
                }
            }),
            problems: self.problems(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.policy_problems.clone();
        problems.extend(self.host_problems.iter().cloned());
        problems.extend(self.flow_problems.iter().cloned());
        problems.extend(
            self.registry
                .iter()
                .flat_map(|registry| registry.problems()),
        );
        let binds_vlans = self.current.as_ref().is_some_and(binds_vlans);
        for attachment in &self.attachments {
            let interface = &attachment.interface;
            if let (HookMode::XdpGeneric, Some(why)) = (attachment.mode, &attachment.degraded) {
                problems.push(format!("{interface} is enforced in generic mode: {why}"));
            }
            // At the other hooks the kernel tells the tag.
            let hidden = self.interfaces.strips_vlan_tags(interface);
            let in_xdp = matches!(attachment.mode, HookMode::XdpNative | HookMode::XdpGeneric);
            if binds_vlans && hidden && in_xdp {
                problems.push(format!(
                    "{interface} removes VLAN tags before XDP sees them, so endpoints bound to a \
                     VLAN cannot be told apart: run `ethtool -K {interface} rxvlan off`"
                ));
            }
        }
        if self.current.is_none() {
            problems.push("there is no policy, so nothing is enforced".to_owned());
        }
        problems
    }

    /// Every counter.
    ///
    /// # Errors
    ///
    /// Counters that the kernel does not give.
    pub fn stats(&self) -> Result<Stats, CounterError> {
        let numbers = self.current.as_ref().map(|current| &current.stored.numbers);
        let rules = numbers
            .into_iter()
            .flat_map(|numbers| numbers.rules.values().copied());
        let counters = self.counters.verdicts(std::iter::once(0).chain(rules))?;
        let verdicts = counters.into_iter().map(|counter| {
            let rule = numbers.and_then(|numbers| rule(numbers, counter.outcome.rule()));
            VerdictCount {
                direction: counter.direction.into(),
                reference_point: rule.map(|rule| rule.reference_point.clone()),
                service: rule.map(|rule| rule.service.clone()),
                reason: counter.outcome.reason().name().to_owned(),
                fate: fate(counter.outcome),
                count: count(counter.count),
            }
        });
        Ok(Stats {
            time: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
            verdicts: verdicts.collect(),
            endpoints: self.endpoint_counts()?,
        })
    }

    fn endpoint_counts(&self) -> Result<Vec<EndpointCount>, CounterError> {
        let Some(current) = &self.current else {
            return Ok(Vec::new());
        };
        let numbers = &current.stored.numbers.endpoints;
        let counters = self.counters.endpoints(numbers.values().copied())?;
        Ok(numbers
            .keys()
            .zip(counters)
            .map(|(name, counter)| EndpointCount {
                name: name.clone(),
                received: fates(counter.count.received),
                sent: fates(counter.count.sent),
            })
            .collect())
    }

    /// The endpoints with their counters.
    ///
    /// # Errors
    ///
    /// Counters that the kernel does not give.
    pub fn endpoints(&self) -> Result<EndpointList, CounterError> {
        let counts = self.endpoint_counts()?;
        let policy = self
            .current
            .as_ref()
            .map(|current| &current.validated.policy);
        let entries = counts.into_iter().filter_map(|counts| {
            let endpoint = policy?.endpoints.get(&counts.name)?;
            Some(entry(counts, endpoint))
        });
        Ok(EndpointList {
            endpoints: entries.collect(),
        })
    }

    /// The text of the policy in force.
    #[must_use]
    pub fn policy_text(&self) -> Option<PolicyText> {
        let stored = &self.current.as_ref()?.stored;
        Some(PolicyText {
            serial: stored.identity.serial,
            file: stored.file.clone(),
            applied: stored.applied.clone(),
            text: stored.text.clone(),
        })
    }
}

/// Whether some endpoint is bound to a VLAN.
fn binds_vlans(current: &Current) -> bool {
    current
        .validated
        .policy
        .endpoints
        .values()
        .any(|endpoint| endpoint.binding.vlan.is_some())
}

fn in_force(current: &Current) -> PolicyInForce {
    let policy = &current.validated.policy;
    PolicyInForce {
        name: policy.name.clone(),
        serial: policy.serial,
        mode: policy.mode,
        outbound: policy.outbound,
        applied: current.stored.applied.clone(),
        endpoints: policy.endpoints.len(),
        addresses: addresses(policy),
        image_bytes: current.image.kernel_bytes(),
    }
}

fn entry(counts: EndpointCount, endpoint: &Endpoint) -> EndpointEntry {
    let addresses = &endpoint.addresses;
    EndpointEntry {
        name: counts.name,
        role: endpoint.role.clone(),
        addresses: addresses.iter().take(LISTED).map(written).collect(),
        address_count: addresses.len(),
        identity: match &endpoint.authenticate {
            Authenticate::Address => None,
            Authenticate::Certificate { identity, .. } => Some(identity.to_string()),
        },
        mac: endpoint.binding.mac.map(|mac| Mac(mac).to_string()),
        vlan: endpoint.binding.vlan.map(|vlan| vlan.to_string()),
        interface: endpoint.binding.interface.clone(),
        received: counts.received,
        sent: counts.sent,
    }
}

/// A prefix as people write it: a single address without its length.
fn written(prefix: &ipnet::IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

fn fates(fates: counters::Fates) -> Fates {
    Fates {
        passed: count(fates.passed),
        dropped: count(fates.dropped),
    }
}

fn count(count: counters::Count) -> Count {
    Count {
        packets: count.packets,
        bytes: count.bytes,
    }
}
