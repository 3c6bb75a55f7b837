//! The agent's counters, as tests ask for them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use manoward_api::{Attachment, Fate, Fates, Place, Stats, Status, VerdictCount, Way};

use crate::agent::Agent;
use crate::machine::wait;

/// How long to wait until a packet is counted.
const PATIENCE: Duration = Duration::from_secs(5);

/// All counters at one time.
#[derive(Clone, Debug)]
pub struct Counters(Stats);

impl Counters {
    /// Packets that were counted at a reference point under a reason; all such packets where the
    /// name is `*`, and those that no reference point governs where it is `-`.
    #[must_use]
    pub fn packets(&self, reference_point: &str, reason: &str) -> u64 {
        self.sum(|count| at(count, reference_point) && count.reason == reason)
    }

    /// Packets of one service that were counted at a reference point under a reason.
    #[must_use]
    pub fn of_service(&self, reference_point: &str, service: &str, reason: &str) -> u64 {
        self.sum(|count| {
            at(count, reference_point)
                && count.service.as_deref() == Some(service)
                && count.reason == reason
        })
    }

    /// Packets to the host with this fate.
    #[must_use]
    pub fn fate(&self, fate: Fate) -> u64 {
        self.sum(|count| count.direction == Way::In && count.fate == fate)
    }

    /// Packets from the host that were dropped.
    #[must_use]
    pub fn refused_out(&self) -> u64 {
        self.sum(|count| count.direction == Way::Out && count.fate == Fate::Dropped)
    }

    /// What was dropped of packets to the host, by reference point (`-` for none) and reason.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<(String, String), u64> {
        self.with_fate(Fate::Dropped)
    }

    /// Packets to the host with this fate, by reference point (`-` for none) and reason.
    #[must_use]
    pub fn with_fate(&self, fate: Fate) -> BTreeMap<(String, String), u64> {
        let mut packets = BTreeMap::new();
        let wanted = |count: &&VerdictCount| {
            count.place == Place::Wire && count.direction == Way::In && count.fate == fate
        };
        for count in self.0.verdicts.iter().filter(wanted) {
            let point = count.reference_point.as_deref().unwrap_or("-").to_owned();
            *packets.entry((point, count.reason.clone())).or_default() += count.count.packets;
        }
        packets
    }

    /// The packets from an endpoint.
    pub fn endpoint(&self, name: &str) -> Result<Fates> {
        let mut counts = self.0.endpoints.iter();
        let found = counts.find(|count| count.name == name);
        let counts = found.with_context(|| format!("no endpoint {name} in {:?}", self.0))?;
        Ok(counts.received)
    }

    /// Mean length of the frames of one direction that were counted under a reason, bytes; 0 if there were
    /// none.
    #[must_use]
    pub fn mean_length(&self, way: Way, reason: &str) -> u64 {
        let wanted = |count: &&VerdictCount| count.direction == way && count.reason == reason;
        let counts = self.0.verdicts.iter().filter(wanted);
        let (packets, bytes) = counts.fold((0, 0), |(packets, bytes), count| {
            (packets + count.count.packets, bytes + count.count.bytes)
        });
        u64::checked_div(bytes, packets).unwrap_or_default()
    }

    /// Packets that the inner door has judged and counted under a reason, in both directions.
    #[must_use]
    pub fn at_door(&self, reason: &str) -> u64 {
        let mut sum = 0;
        for count in &self.0.verdicts {
            if count.place == Place::Door && count.reason == reason {
                sum += count.count.packets;
            }
        }
        sum
    }

    fn sum(&self, wanted: impl Fn(&VerdictCount) -> bool) -> u64 {
        let wanted = |count: &&VerdictCount| count.place == Place::Wire && wanted(count);
        let counts = self.0.verdicts.iter().filter(wanted);
        counts.map(|count| count.count.packets).sum()
    }
}

fn at(count: &VerdictCount, reference_point: &str) -> bool {
    reference_point == "*" || count.reference_point.as_deref().unwrap_or("-") == reference_point
}

impl Agent<'_> {
    /// The counters.
    pub fn counters(&self) -> Result<Counters> {
        let stats = self.ask_json(&["stats"])?;
        Ok(Counters(
            serde_json::from_value(stats).context("reading stats")?,
        ))
    }

    /// Waits until so many packets were counted at a reference point under a reason.
    pub fn await_packets(&self, reference_point: &str, reason: &str, packets: u64) -> Result<()> {
        let count = || Ok(self.counters()?.packets(reference_point, reason));
        wait::until(&packets, PATIENCE, count)
            .with_context(|| format!("counting {reason} at {reference_point}"))
    }

    /// The agent's status.
    pub fn status(&self) -> Result<Status> {
        // It ends with a code of its own where the host is not protected everywhere.
        let output = self.cli(&["status", "--output", "json"])?;
        serde_json::from_str(&output.stdout).context("reading the status")
    }

    /// What the status says is wrong, in sentences.
    pub fn problems(&self) -> Result<Vec<String>> {
        let problems = self.status()?.problems.into_iter();
        Ok(problems.map(|problem| problem.message).collect())
    }

    /// The ingress attachments.
    pub fn ingress(&self) -> Result<Vec<Attachment>> {
        let attachments = self.status()?.attachments.into_iter();
        Ok(attachments.filter(|at| !at.mode.is_egress()).collect())
    }

    /// Waits until at least one packet was counted at a reference point under a reason.
    pub fn await_any(&self, reference_point: &str, reason: &str) -> Result<()> {
        let counted = || Ok(self.counters()?.packets(reference_point, reason) > 0);
        wait::until(&true, PATIENCE, counted)
            .with_context(|| format!("counting {reason} at {reference_point}"))
    }

    /// Serial of the policy in force.
    pub fn serial(&self) -> Result<Option<u64>> {
        Ok(self.status()?.policy.map(|policy| policy.serial))
    }
}
