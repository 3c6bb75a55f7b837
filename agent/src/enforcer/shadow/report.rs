//! What a candidate would do otherwise, by who it would do it to, service and reason.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jiff::Timestamp;
use thiserror::Error;
use verdict::{
    counters::Direction,
    reason::{Outcome, Verdict},
};

use crate::{
    datapath::{
        LoadError,
        flows::FlowError,
        shadow::{Seen, ShadowCounts, Source, counts, seen},
    },
    enforcer::{Current, Trying, View},
    image::{Numbers, RuleName},
};

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// What was counted cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What was seen cannot be read.
    #[error(transparent)]
    Flows(#[from] FlowError),
}

/// Packets that a candidate would drop, or admit, and the policy in force does not.
#[derive(Clone, Debug)]
pub struct ShadowRow {
    /// What the candidate would do with them.
    pub verdict: Verdict,
    /// Their direction.
    pub direction: Direction,
    /// Whether they were judged at the sockets.
    pub at_door: bool,
    /// Name of the endpoint at their far end, if one of the policies has it.
    pub endpoint: Option<String>,
    /// Else the address there; `None` for further addresses together.
    pub address: Option<IpAddr>,
    /// The service and its reference point, as far as a rule governs them.
    pub rule: Option<RuleName>,
    /// Why one of the policies drops them.
    pub reason: &'static str,
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first was seen.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
}

/// What a candidate would do otherwise.
#[derive(Clone, Debug)]
pub struct ShadowReport {
    /// How many packets.
    pub counts: ShadowCounts,
    /// Which: what it would drop first, and of each kind what is most.
    pub rows: Vec<ShadowRow>,
}

impl Trying {
    /// How many packets were judged differently.
    ///
    /// # Errors
    ///
    /// Counters that cannot be read.
    pub fn counts(&self) -> Result<ShadowCounts, LoadError> {
        // After a restart of the host, until the programs are loaded.
        if !self.pins.exist() {
            return Ok(ShadowCounts::default());
        }
        counts(&self.pins)
    }

    /// What the candidate would do otherwise than the policy in force as of `view`.
    ///
    /// # Errors
    ///
    /// Counters that cannot be read.
    pub fn report(&self, view: &View) -> Result<ShadowReport, ReportError> {
        let enforced = [view.current.as_deref(), view.confirmed()];
        let named = Named {
            enforced: Names::of(enforced.into_iter().flatten().map(Current::numbers)),
            candidate: Names::of([self.candidate.numbers()]),
        };
        let now = Timestamp::now();
        let mut rows: BTreeMap<Key, ShadowRow> = BTreeMap::new();
        let entries = if self.pins.exist() {
            seen(&self.pins)?
        } else {
            Vec::new()
        };
        for seen in entries {
            let row = named.row(&seen, now);
            let there = rows.entry(key(&row)).or_insert_with(|| ShadowRow {
                packets: 0,
                bytes: 0,
                ..row.clone()
            });
            there.packets += row.packets;
            there.bytes += row.bytes;
            there.first = there.first.min(row.first);
            there.last = there.last.max(row.last);
        }
        let mut rows: Vec<ShadowRow> = rows.into_values().collect();
        rows.sort_by_key(|row| (row.verdict == Verdict::Pass, u64::MAX - row.packets));
        Ok(ShadowReport {
            counts: self.counts()?,
            rows,
        })
    }
}

/// What rows of one kind have in common.
type Key = (
    bool,
    bool,
    bool,
    Option<String>,
    Option<IpAddr>,
    Option<RuleName>,
    &'static str,
);

fn key(row: &ShadowRow) -> Key {
    (
        row.verdict == Verdict::Pass,
        row.direction == Direction::Out,
        row.at_door,
        row.endpoint.clone(),
        row.address,
        row.rule.clone(),
        row.reason,
    )
}

/// Names by number.
struct Names<'a> {
    rules: BTreeMap<u16, &'a RuleName>,
    endpoints: BTreeMap<u32, &'a str>,
}

impl<'a> Names<'a> {
    /// Those of policies that give no number to two names.
    fn of(numbers: impl IntoIterator<Item = &'a Numbers>) -> Self {
        let mut names = Self {
            rules: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        };
        for numbers in numbers {
            let rules = numbers.rules.iter();
            names
                .rules
                .extend(rules.map(|(name, number)| (*number, name)));
            let endpoints = numbers.endpoints.iter();
            let endpoints = endpoints.map(|(name, number)| (*number, name.as_str()));
            names.endpoints.extend(endpoints);
        }
        names
    }

    fn rule(&self, outcome: Outcome) -> Option<RuleName> {
        self.rules.get(&outcome.rule()).copied().cloned()
    }

    fn endpoint(&self, outcome: Outcome) -> Option<String> {
        let name = self.endpoints.get(&outcome.endpoint());
        name.map(|&name| name.to_owned())
    }
}

/// The names behind the numbers of both policies.
struct Named<'a> {
    /// Of the policy in force, and of the one to go back to.
    enforced: Names<'a>,
    candidate: Names<'a>,
}

impl Named<'_> {
    fn row(&self, seen: &Seen, now: Timestamp) -> ShadowRow {
        let verdict = seen.candidate.verdict();
        let dropping = match verdict {
            Verdict::Drop => seen.candidate,
            Verdict::Pass => seen.enforced,
        };
        let (endpoint, address) = match seen.source {
            Source::Endpoint => (Some(self.endpoint(seen)), None),
            Source::Stranger(address) => (None, Some(address)),
            Source::Others => (None, None),
        };
        ShadowRow {
            verdict,
            direction: seen.direction,
            at_door: seen.at_door,
            endpoint,
            address,
            rule: self.rule(seen),
            reason: dropping.reason().name(),
            packets: seen.packets,
            bytes: seen.bytes,
            first: before(now, seen.first),
            last: before(now, seen.last),
        }
    }

    /// The rule that lets the packet pass, or else that under which it is dropped.
    fn rule(&self, seen: &Seen) -> Option<RuleName> {
        let enforced = || self.enforced.rule(seen.enforced);
        let candidate = || self.candidate.rule(seen.candidate);
        match seen.candidate.verdict() {
            Verdict::Drop => enforced().or_else(candidate),
            Verdict::Pass => candidate().or_else(enforced),
        }
    }

    fn endpoint(&self, seen: &Seen) -> String {
        let name = self.enforced.endpoint(seen.enforced);
        let name = name.or_else(|| self.candidate.endpoint(seen.candidate));
        // Only of a policy that has just been replaced.
        name.unwrap_or_else(|| "(gone)".to_owned())
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    now.checked_sub(ago).unwrap_or(now)
}
