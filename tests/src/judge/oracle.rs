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
use permission::{Standing, standing};
use sockets::{Deliveries, Delivery, Listener, Sockets};

/// Frames that are sent before anybody listens for what has become of them.
const BATCH: usize = 32;
/// A batch has been delivered sooner.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const MOMENT: Duration = Duration::from_micros(20);
/// Differences that are kept; of more than that, there is one reason.
const KEPT: usize = 20;

/// The service that the last packet of a batch asks for, which every policy permits the VIM.
const LAST: u16 = 7003;

/// Why packets are dropped that a stack would have delivered, and a policy permits: no well-meaning
/// sender makes such packets, and to judge them is not worth the risk. `docs/testing.md` has more.
const STRICTER: [Reason; 6] = [
    Reason::FragmentTiny,
    Reason::FragmentOverlap,
    Reason::VlanDepth,
    Reason::RoutingHeader,
    Reason::ExtensionDepth,
    Reason::ExtensionTruncated,
];

/// What became of the frames of one family.
#[derive(Clone, Copy, Debug, Default)]
pub struct FamilyCounts {
    /// Cases.
    pub cases: u64,
    /// Deliveries that were permitted, and made.
    pub admitted: u64,
    /// Deliveries that were not permitted, and made only where nobody protects.
    pub kept_out: u64,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Frames that were sent to each host.
    pub frames: u64,
    /// By family.
    pub families: BTreeMap<&'static str, FamilyCounts>,
    /// Permitted deliveries that were not made, by the reason.
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
    // Detaches first where it is dropped.
    agent: Agent<'a>,
}

impl<'a> Oracle<'a> {
    /// Protects one of the hosts by a policy of this text. The thread stays on its CPU from now
    /// on, so that frames stay in their order.
    pub fn new(hosts: &'a Hosts, policy: &str) -> Result<Self> {
        let agent = Agent::start(&hosts.guarded, policy)?;
        // To attach a program has turned it on.
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

    /// Sends cases until there are a batch of frames, and compares what both hosts make of them.
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

    /// Sends these cases, and compares what both hosts make of them.
    pub fn compare(&mut self, cases: &[Case]) -> Result<()> {
        self.batches += 1;
        let last = self.batches.to_be_bytes();
        let mut guarded = self.guarded.deliver(cases, last)?;
        let mut twin = self.twin.deliver(cases, last)?;
        // A host that forwards tells itself of better ways, too.
        let frames = cases.iter().flat_map(|case| &case.frames);
        let sources: Vec<_> = frames.map(|frame| repair::source(frame)).collect();
        for heard in [&mut guarded, &mut twin] {
            heard.retain(|delivery, _| {
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
            match self.standing(delivery, cases) {
                Standing::Refused => self.differ("is let in", delivery, cases),
                Standing::Permitted if count > expected => {
                    self.explain("is delivered only behind the programs", delivery, cases)?;
                }
                Standing::Permitted => self.count(delivery, cases, |counts| &mut counts.admitted),
                Standing::Free => {}
            }
        }
        for (delivery, &count) in &twin {
            if guarded.get(delivery).copied().unwrap_or_default() >= count {
                continue;
            }
            match self.standing(delivery, cases) {
                Standing::Refused => self.count(delivery, cases, |counts| &mut counts.kept_out),
                Standing::Permitted => {
                    self.explain("is permitted, and does not arrive", delivery, cases)?;
                }
                Standing::Free => {}
            }
        }
        Ok(())
    }

    /// How a delivery stands to the policy. What another packet has carried does not speak for
    /// itself: no policy of a test permits tunnels.
    fn standing(&self, delivery: &Delivery, cases: &[Case]) -> Standing {
        let sent = |case: &Case| {
            let mut sources = case.frames.iter().map(|frame| repair::source(frame));
            sources.any(|source| source == Some(delivery.source))
        };
        match standing(&self.policy, delivery) {
            Standing::Permitted if !origins(delivery, cases).into_iter().any(sent) => {
                Standing::Refused
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
        // A delivery whose tag is damaged is of no case, and not counted.
        if let [case] = origins(delivery, cases)[..] {
            *of(self.findings.families.entry(case.family).or_default()) += 1;
        }
    }

    /// The reason for which the product meant not to deliver this.
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

/// The cases that a delivery may be of: the one whose tag it holds, else all.
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
        let mut heard = Deliveries::new();
        let deadline = Instant::now() + PATIENCE;
        let is_last = |delivery: &Delivery| delivery.bytes.ends_with(&last);
        while !heard.keys().any(is_last) {
            ensure!(
                Instant::now() < deadline,
                "the last packet of a batch has not arrived"
            );
            thread::sleep(MOMENT);
            self.sockets.take(&mut heard)?;
        }
        // What was delivered before it, to a socket that was asked before.
        self.sockets.take(&mut heard)?;
        heard.retain(|delivery, _| {
            !(is_last(delivery)
                && matches!(
                    delivery.listener,
                    Listener::Transport(17) | Listener::Service(_)
                ))
        });
        Ok(heard)
    }
}
