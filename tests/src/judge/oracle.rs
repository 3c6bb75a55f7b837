//! The network stack as an oracle: what it would deliver is what a filter in front of it has to
//! understand.
//!
//! Every frame is sent to two hosts that differ only in that one of them is protected. What the
//! stack behind the programs delivers has to be permitted; what the other one delivers, and the
//! policy permits, has to be delivered behind the programs, too. What is permitted is read off the
//! policy ([`permission`]), not asked of the product.

pub mod families;
pub mod hosts;
pub mod permission;
mod repair;
pub mod sockets;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use manoward::explain::to_hex;
use manoward::policy::Policy;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use verdict::reason::Reason;

use crate::agent::Agent;
use crate::judge::{Judges, Pooled, facts, read};
use crate::net::packet::{Packet, Udp};
use crate::net::wire::Wire;
use families::{Case, Families, LINK_LOCAL};
use hosts::{Hosts, as_received};
use permission::{Permission, permission};
use sockets::{Deliveries, Delivery, Listener, Sockets};

/// Frames that are sent before the sockets are read.
const BATCH: usize = 32;
/// Longest time until a batch is delivered.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two reads of the sockets.
const POLL: Duration = Duration::from_micros(20);
/// Most differences that are kept; more of them have the same cause.
const KEPT: usize = 20;

/// UDP port of the last packet of a batch; every policy permits it to the VIM.
const LAST: u16 = 7003;

/// Reasons for which the product drops packets that a policy permits and a stack delivers: no
/// legitimate sender makes such packets, and parsing them is a risk. `docs/testing.md` has more.
const STRICTER: [Reason; 7] = [
    Reason::FragmentTiny,
    Reason::FragmentOverlap,
    Reason::VlanDepth,
    Reason::RoutingHeader,
    Reason::ExtensionDepth,
    Reason::ExtensionTruncated,
    Reason::SourceRoute,
];

/// What became of the frames of one family.
#[derive(Clone, Copy, Debug, Default)]
pub struct FamilyCounts {
    /// Cases.
    pub cases: u64,
    /// Deliveries that were permitted, and made.
    pub admitted: u64,
    /// Deliveries that were not permitted, and made only at the unprotected host.
    pub kept_out: u64,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Frames that were sent to each host.
    pub frames: u64,
    /// By family.
    pub families: BTreeMap<&'static str, FamilyCounts>,
    /// Permitted deliveries that were not made, by the reason for the drop.
    pub stricter: BTreeMap<&'static str, u64>,
    /// Where product and stack do not agree.
    pub differences: Vec<String>,
}

/// A host: where frames to it are sent, and what its stack delivers.
struct Side {
    wire: Wire,
    sockets: Sockets,
}

/// The comparison of two hosts.
pub struct Oracle<'a> {
    guarded: Side,
    twin: Side,
    policy: Policy,
    batches: u64,
    findings: Findings,
    judges: Option<Pooled>,
    // Detaches the programs when it is dropped.
    agent: Agent<'a>,
}

impl<'a> Oracle<'a> {
    /// Protects one of the hosts by a policy of this text. The thread stays on its CPU from now
    /// on, so that frames stay in their order.
    pub fn new(hosts: &'a Hosts, policy: &str) -> Result<Self> {
        let agent = Agent::start(&hosts.guarded, policy)?;
        // Attaching a program turns GRO on again.
        as_received(&hosts.guarded)?;
        let mut cpus = CpuSet::new();
        cpus.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("staying on a CPU")?;
        Ok(Self {
            guarded: Side {
                wire: hosts.wire_to_guarded()?,
                sockets: Sockets::open(&hosts.guarded)?,
            },
            twin: Side {
                wire: hosts.wire_to_twin()?,
                sockets: Sockets::open(&hosts.twin)?,
            },
            policy: read(policy)?,
            batches: 0,
            findings: Findings::default(),
            judges: None,
            agent,
        })
    }

    /// A source of cases for this policy.
    #[must_use]
    pub fn families(&self, seed: u64) -> Families {
        Families::new(&self.policy, seed)
    }

    /// The agent.
    #[must_use]
    pub const fn agent(&self) -> &Agent<'a> {
        &self.agent
    }

    /// What has been seen so far.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Collects a batch of cases, sends them to both hosts, and compares the deliveries.
    pub fn batch(&mut self, mut next: impl FnMut() -> Case) -> Result<()> {
        let mut cases = Vec::new();
        let mut frames = 0;
        while frames < BATCH {
            let case = next();
            frames += case.frames.len();
            cases.push(case);
        }
        self.compare(&cases)
    }

    /// Sends these cases to both hosts, and compares the deliveries.
    pub fn compare(&mut self, cases: &[Case]) -> Result<()> {
        self.batches += 1;
        let last = self.batches.to_be_bytes();
        let mut guarded = self.guarded.deliver(cases, last)?;
        let mut twin = self.twin.deliver(cases, last)?;
        // A host that forwards also sends redirects to itself.
        let frames = cases.iter().flat_map(|case| &case.frames);
        let sources: Vec<_> = frames.map(|frame| repair::source(frame)).collect();
        for delivered in [&mut guarded, &mut twin] {
            delivered.retain(|delivery, _| {
                delivery.source != LINK_LOCAL || sources.contains(&Some(delivery.source))
            });
        }
        for case in cases {
            self.findings.frames += case.frames.len() as u64;
            let counts = self.findings.families.entry(case.family).or_default();
            counts.cases += 1;
        }
        for (delivery, &count) in &guarded {
            let expected = twin.get(delivery).copied().unwrap_or_default();
            match self.permission(delivery, cases) {
                Permission::Refused => self.differ("is let in", delivery, cases),
                Permission::Permitted if count > expected => {
                    self.explain("is delivered only behind the programs", delivery, cases)?;
                }
                Permission::Permitted => self.count(delivery, cases, |counts| &mut counts.admitted),
                Permission::Free => {}
            }
        }
        for (delivery, &count) in &twin {
            if guarded.get(delivery).copied().unwrap_or_default() >= count {
                continue;
            }
            match self.permission(delivery, cases) {
                Permission::Refused => self.count(delivery, cases, |counts| &mut counts.kept_out),
                Permission::Permitted => {
                    self.explain("is permitted, and does not arrive", delivery, cases)?;
                }
                Permission::Free => {}
            }
        }
        Ok(())
    }

    /// Whether the policy permits a delivery. A packet from a tunnel is refused: no policy of a
    /// test permits tunnels.
    fn permission(&self, delivery: &Delivery, cases: &[Case]) -> Permission {
        let sent = |case: &Case| {
            let mut sources = case.frames.iter().map(|frame| repair::source(frame));
            sources.any(|source| source == Some(delivery.source))
        };
        match permission(&self.policy, delivery) {
            Permission::Permitted if !origins(delivery, cases).into_iter().any(sent) => {
                Permission::Refused
            }
            other => other,
        }
    }

    /// Finds out why something permitted has only been delivered to one of the hosts.
    fn explain(&mut self, how: &str, delivery: &Delivery, cases: &[Case]) -> Result<()> {
        let ambiguous = |case: &Case| families::AMBIGUOUS.contains(&case.family);
        if origins(delivery, cases).into_iter().any(ambiguous) {
            return Ok(());
        }
        match self.stricter(delivery, cases)? {
            Some(reason) => *self.findings.stricter.entry(reason.name()).or_default() += 1,
            None => self.differ(how, delivery, cases),
        }
        Ok(())
    }

    fn differ(&mut self, how: &str, delivery: &Delivery, cases: &[Case]) {
        if self.findings.differences.len() >= KEPT {
            return;
        }
        let from: Vec<_> = origins(delivery, cases)
            .into_iter()
            .map(|case| {
                let frames: Vec<_> = case.frames.iter().map(|frame| to_hex(frame)).collect();
                format!("{}: {}", case.family, frames.join(" "))
            })
            .collect();
        let from = from.join("; ");
        self.findings
            .differences
            .push(format!("{delivery:?} {how}, of {from}"));
    }

    fn count(
        &mut self,
        delivery: &Delivery,
        cases: &[Case],
        of: fn(&mut FamilyCounts) -> &mut u64,
    ) {
        // A delivery with a damaged tag belongs to no case, and is not counted.
        if let [case] = origins(delivery, cases)[..] {
            *of(self.findings.families.entry(case.family).or_default()) += 1;
        }
    }

    /// The reason of [`STRICTER`] for which the product dropped this, if there is one.
    fn stricter(&mut self, delivery: &Delivery, cases: &[Case]) -> Result<Option<Reason>> {
        if self.judges.is_none() {
            self.judges = Some(Judges::with(&self.policy, &facts())?);
        }
        let judges = self.judges.as_mut().context("they are there")?;
        judges.forget_flows()?;
        for case in origins(delivery, cases) {
            for frame in &case.frames {
                let reason = judges.outcome(frame)?.reason();
                if STRICTER.contains(&reason) {
                    return Ok(Some(reason));
                }
            }
        }
        Ok(None)
    }
}

/// The cases that a delivery may belong to: the one whose tag it holds, else all.
fn origins<'c>(delivery: &Delivery, cases: &'c [Case]) -> Vec<&'c Case> {
    let holds = |case: &&Case| delivery.bytes.windows(8).any(|bytes| bytes == case.tag);
    let found: Vec<_> = cases.iter().filter(holds).collect();
    if found.is_empty() {
        cases.iter().collect()
    } else {
        found
    }
}

impl Side {
    /// Sends the frames of all cases, and collects what is delivered of them.
    fn deliver(&mut self, cases: &[Case], last: [u8; 8]) -> Result<Deliveries> {
        for frame in cases.iter().flat_map(|case| &case.frames) {
            self.wire.send(frame)?;
        }
        let end = Packet::v4().with(Udp::to(LAST)).with(last.to_vec());
        self.wire.send(&end.build())?;
        let mut delivered = Deliveries::new();
        let deadline = Instant::now() + PATIENCE;
        let is_last = |delivery: &Delivery| delivery.bytes.ends_with(&last);
        while !delivered.keys().any(is_last) {
            ensure!(
                Instant::now() < deadline,
                "the last packet of a batch has not arrived"
            );
            thread::sleep(POLL);
            self.sockets.take(&mut delivered)?;
        }
        // Also what arrived before it at a socket that was read earlier in this round.
        self.sockets.take(&mut delivered)?;
        delivered.retain(|delivery, _| {
            !(is_last(delivery)
                && matches!(
                    delivery.listener,
                    Listener::Transport(17) | Listener::Service(_)
                ))
        });
        Ok(delivered)
    }
}
