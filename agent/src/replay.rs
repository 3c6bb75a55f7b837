//! What a policy would have done with captured traffic, judged in user space by the verdict crate.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;
use verdict::{
    decision::{WORDS, full},
    host::{Frame, Remembered, Storage},
    reason::{Outcome, Reason, Verdict},
    state::{clock::tick, flow::Set, lease::Lease, limit::Limit, served},
};

use crate::{
    explain::{addresses, endpoint, rule},
    image::{CompileError, Facts, Image, Numbers, compile},
    policy::{Authenticate, Policy, Protect},
};

/// Sets of the table of flows: room for 65,536 flows.
const SETS: u32 = 1 << 15;
/// Addresses without an endpoint that are told apart; further ones are added up.
const STRANGERS: usize = 10_000;

/// Flows and limits in memory; no leases.
#[derive(Debug)]
struct Memory {
    flows: Vec<Set>,
    limits: Vec<Limit>,
    served: Vec<served::Set>,
}

impl Storage for Memory {
    fn set(&self, index: u32) -> Option<&Set> {
        self.flows.get(index as usize)
    }

    fn sets(&self) -> u32 {
        self.flows.len() as u32
    }

    fn lease(&self, _: u32) -> Option<&Lease> {
        None
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index as usize)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        self.served.get(index as usize)
    }
}

/// What packets are added up by: whether they leave the host, their outcome, and the address of a peer
/// that is no endpoint.
type Kind = (bool, u64, Option<IpAddr>);

/// How many packets there were of one kind, and when.
#[derive(Clone, Copy, Debug)]
struct Sum {
    packets: u64,
    bytes: u64,
    first: Duration,
    last: Duration,
}

/// A policy that judges what was captured.
#[derive(Debug)]
pub struct Replay {
    numbers: Numbers,
    image: Image,
    homes: BTreeMap<IpAddr, Vec<u32>>,
    memory: Memory,
    sums: HashMap<Kind, Sum>,
    strangers: usize,
}

/// Packets with the same outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `in` or `out`.
    pub direction: &'static str,
    /// Reference point that governs them.
    pub reference_point: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Endpoint, or the address of a peer that is none.
    pub peer: Option<String>,
    /// Why they passed or were dropped.
    pub reason: &'static str,
    /// `passed`, `audited` or `dropped`.
    pub fate: &'static str,
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time of the first, seconds since 1970.
    pub first: f64,
    /// Time of the last, seconds since 1970.
    pub last: f64,
}

impl Replay {
    /// A replay by `policy` on a host with these facts, where `addresses` are protected in place of its
    /// own, if there are any.
    ///
    /// Endpoints with certificates are taken for proven, and TCP connections that were open before the
    /// capture for permitted where the policy permits them.
    ///
    /// # Errors
    ///
    /// [`CompileError`].
    pub fn new(mut policy: Policy, facts: Facts, local: &[IpAddr]) -> Result<Self, CompileError> {
        for endpoint in policy.endpoints.values_mut() {
            endpoint.authenticate = Authenticate::Address;
        }
        let own = if local.is_empty() {
            &facts.addresses
        } else {
            local
        };
        let listed = policy.protect.iter().flat_map(|protect| match protect {
            Protect::InterfaceAddresses => own.to_vec(),
            Protect::Address(address) => vec![*address],
        });
        let mut listed: Vec<IpAddr> = listed.collect();
        listed.sort_unstable();
        listed.dedup();
        policy.protect = listed.into_iter().map(Protect::Address).collect();
        let numbers = Numbers::default().carried_to(&policy);
        let numbers = numbers.ok_or(CompileError::TooManyNames)?;
        // Connections of addresses that are not the host's own are taken over as they go on.
        let others = Facts {
            addresses: Vec::new(),
            ..facts
        };
        Ok(Self {
            image: compile(&policy, &others, &numbers)?,
            numbers,
            homes: others.homes,
            memory: Memory {
                flows: (0..SETS).map(|_| Set::default()).collect(),
                limits: (0..WORDS).map(|_| Limit::default()).collect(),
                served: (0..SETS / 2).map(|_| served::Set::default()).collect(),
            },
            sums: HashMap::new(),
            strangers: 0,
        })
    }

    /// Judges a frame that was captured at `time`, and counts it.
    pub fn judge(&mut self, bytes: &[u8], time: Duration) -> Outcome {
        let ends = addresses(bytes);
        let home = |address: IpAddr| self.homes.get(&address)?.first().copied();
        let ifindex = ends.and_then(|(from, to)| home(to).or_else(|| home(from)));
        let frame = Frame {
            bytes,
            vlan: None,
            ifindex: ifindex.unwrap_or(0),
        };
        let now = tick(time.as_nanos() as u64);
        let flows = Remembered {
            shown: false,
            storage: &self.memory,
            tables: &self.image,
            seed: 0,
            now,
            clock: now.into(),
            adopting: true,
            groups_at_sockets: false,
            writable: true,
        };
        let sent = full::outbound(&frame, &self.image, &flows);
        let is_out = !matches!(sent.reason(), Reason::Unprotected | Reason::NotIp);
        let outcome = if is_out {
            sent
        } else {
            full::inbound(&frame, &self.image, &flows)
        };
        let stranger = ends.filter(|_| outcome.is_refusal() && outcome.endpoint() == 0);
        let stranger = stranger.map(|(from, to)| if is_out { to } else { from });
        self.count((is_out, outcome.0, stranger), bytes.len(), time);
        outcome
    }

    fn count(&mut self, kind: Kind, bytes: usize, time: Duration) {
        let (is_out, outcome, stranger) = kind;
        let known = self.sums.contains_key(&kind);
        let kind = if !known && stranger.is_some() {
            self.strangers += 1;
            (
                is_out,
                outcome,
                stranger.filter(|_| self.strangers <= STRANGERS),
            )
        } else {
            kind
        };
        let sum = self.sums.entry(kind).or_insert(Sum {
            packets: 0,
            bytes: 0,
            first: time,
            last: time,
        });
        sum.packets += 1;
        sum.bytes += bytes as u64;
        sum.first = sum.first.min(time);
        sum.last = sum.last.max(time);
    }

    /// What became of the packets: those that would have been dropped first, then by number.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .sums
            .iter()
            .map(|(&kind, sum)| self.row(kind, sum))
            .collect();
        rows.sort_by(|a, b| {
            let order = |row: &Row| match row.fate {
                "dropped" => 0,
                "audited" => 1,
                _ => 2,
            };
            (order(a), b.packets, &a.peer).cmp(&(order(b), a.packets, &b.peer))
        });
        rows
    }

    fn row(&self, (is_out, outcome, stranger): Kind, sum: &Sum) -> Row {
        let outcome = Outcome(outcome);
        let rule = rule(&self.numbers, outcome.rule());
        let named = endpoint(&self.numbers, outcome.endpoint()).map(str::to_owned);
        Row {
            direction: if is_out { "out" } else { "in" },
            reference_point: rule.map(|rule| rule.reference_point.clone()),
            service: rule.map(|rule| rule.service.clone()),
            peer: named.or_else(|| stranger.map(|address| address.to_string())),
            reason: outcome.reason().name(),
            fate: match (outcome.verdict(), outcome.is_refusal()) {
                (Verdict::Drop, _) => "dropped",
                (Verdict::Pass, true) => "audited",
                (Verdict::Pass, false) => "passed",
            },
            packets: sum.packets,
            bytes: sum.bytes,
            first: sum.first.as_secs_f64(),
            last: sum.last.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
