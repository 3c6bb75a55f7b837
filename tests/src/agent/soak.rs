//! A soak: policies change in every way, and the agent is killed and restarted, while traffic that every
//! one of them permits and traffic that every one of them forbids goes on.

mod changes;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::machine::namespace::Namespace;
use crate::machine::wait;
use crate::net::packet::{Ethernet, Ipv4, Ipv6, Packet, Tcp};
use crate::net::stack_counter::StackCounter;
use crate::net::station::{HOST, INTRUDER, Mac, NIC, VIM};
use crate::net::traffic::{Flood, Stream};
use crate::net::wire::Wire;
use crate::programs::openssh;
use crate::scene::topology::Topology;
use crate::scene::watch::{STREAM, enforced};

use changes::{Changes, policy, settle};

/// Where the VIM's flood comes from. Its network stack has other addresses, so that all that comes from
/// these is counted.
const PERMITTED: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(192, 0, 2, 11),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0, 0, 0, 0x11),
);

/// Frames that are sent at once: fewer than any queue on the way holds.
const BURST: usize = 32;

/// What queues hold is judged after this time.
const SETTLED: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Changes of the policy.
    pub changes: u32,
    /// How often the agent is killed, half of it in the middle of a change.
    pub kills: u32,
    /// How often it is restarted.
    pub restarts: u32,
    /// Frames of either kind that are sent at least.
    pub packets: u64,
    /// Time between two bursts of either kind.
    pub pause: Duration,
    /// After this time no change is begun any more.
    pub most: Duration,
    /// Seed of the choices.
    pub seed: u64,
}

/// What was sent, and what has arrived in the host's network stack.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Traffic {
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that have arrived.
    pub arrived: u64,
}

/// What the agent takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Usage {
    /// Memory, kB.
    pub memory_kb: u64,
    /// Open files.
    pub descriptors: usize,
    /// Files in its state folder.
    pub files: usize,
    /// Pins.
    pub pins: usize,
}

/// What has come of a soak.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// What every policy permits.
    pub permitted: Traffic,
    /// What every policy forbids.
    pub forbidden: Traffic,
    /// Permitted packets that the programs have dropped.
    pub permitted_dropped: u64,
    /// Frames that queues before the host have dropped, which no program has seen.
    pub queue_drops: u64,
    /// Exchanges over the two connections that were open all the time: one that the VIM opened, and one
    /// that the host did.
    pub exchanges: [u64; 2],
    /// Changes, by what they were.
    pub changes: BTreeMap<String, u32>,
    /// How often the agent was killed, and how often in the middle of a change.
    pub kills: [u32; 2],
    /// How often it was restarted.
    pub restarts: u32,
    /// What the agent took when it had started, and after all.
    pub usage: [Usage; 2],
    /// Entries of the history, which was found to be as it was written.
    pub history: u64,
    /// How long it took.
    pub seconds: u64,
    /// Whether all that was planned was done.
    pub complete: bool,
}

impl Outcome {
    /// How many changes there were.
    #[must_use]
    pub fn changed(&self) -> u32 {
        self.changes.values().sum()
    }

    /// What is wrong, in sentences; nothing if nothing is.
    #[must_use]
    pub fn flaws(&self) -> Vec<String> {
        let lost = self.permitted.sent.saturating_sub(self.permitted.arrived);
        let [before, after] = self.usage;
        let mut flaws = Vec::new();
        let mut check = |holds: bool, flaw: String| {
            if !holds {
                flaws.push(flaw);
            }
        };
        check(
            self.forbidden.arrived == 0,
            format!("{} forbidden packets have passed", self.forbidden.arrived),
        );
        check(
            self.permitted_dropped == 0,
            format!("{} permitted packets were dropped", self.permitted_dropped),
        );
        check(
            lost <= self.queue_drops,
            format!(
                "{lost} permitted packets are lost, {} of them in queues",
                self.queue_drops
            ),
        );
        check(
            after.descriptors <= before.descriptors + 8,
            format!(
                "open files grew from {} to {}",
                before.descriptors, after.descriptors
            ),
        );
        check(
            after.pins <= before.pins,
            format!("pins grew from {} to {}", before.pins, after.pins),
        );
        check(
            after.memory_kb <= before.memory_kb + 32 * 1024,
            format!(
                "memory grew from {} kB to {} kB",
                before.memory_kb, after.memory_kb
            ),
        );
        flaws
    }
}

/// Runs a soak; `tell` hears of its progress.
///
/// # Errors
///
/// What could not be done. What is wrong with the outcome is in that.
pub fn run(plan: &Plan, mut tell: impl FnMut(&Outcome)) -> Result<Outcome> {
    let started = Instant::now();
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &policy(1, 0))?;
    let permitted = counted(&scene.host, [PERMITTED.0.into(), PERMITTED.1.into()])?;
    let forbidden = counted(&scene.host, [INTRUDER.v4.into(), INTRUDER.v6.into()])?;
    let asks = frames(VIM.mac, PERMITTED, Tcp::RST, &[7000]);
    let breaks_in = frames(
        INTRUDER.mac,
        (INTRUDER.v4, INTRUDER.v6),
        Tcp::SYN,
        &[7000, openssh::PORT],
    );
    let streams = [
        Stream::start(&scene.vim, &scene.host, STREAM)?,
        Stream::start(&scene.host, &scene.vim, (VIM.v4, changes::AMQPS).into())?,
    ];
    let floods = [(&scene.vim, asks), (&scene.intruder, breaks_in)];
    let floods = floods.map(|(from, frames)| {
        let wire = Wire::open(from, NIC)?;
        anyhow::Ok(Flood::in_bursts(wire, frames, BURST, plan.pause))
    });
    let [asking, breaking_in] = floods;
    let (asking, breaking_in) = (asking?, breaking_in?);

    let mut outcome = Outcome::default();
    outcome.usage[0] = usage(&scene, &agent)?;
    let mut changes = Changes::new(&scene, plan.seed)?;
    let (mut killed, mut restarted) = (0, 0);
    for number in 1..=plan.changes {
        if started.elapsed() > plan.most {
            break;
        }
        // In equal distances.
        let due = |times: u32| u64::from(number) * u64::from(times) / u64::from(plan.changes);
        if due(plan.kills) > killed {
            killed += 1;
            outcome.kills[0] += 1;
            if killed % 2 == 0 {
                outcome.kills[1] += 1;
                changes.killed_meanwhile(&mut agent)?;
            } else {
                agent.kill9();
            }
            agent.restart().context("after it was killed")?;
        }
        if due(plan.restarts) > restarted {
            restarted += 1;
            outcome.restarts += 1;
            agent.restart()?;
        }
        let kind = changes.next(&agent)?;
        *outcome.changes.entry(kind.to_owned()).or_default() += 1;
        if number % 10 == 0 {
            outcome.seconds = started.elapsed().as_secs();
            outcome.permitted.sent = asking.sent();
            outcome.forbidden = Traffic {
                sent: breaking_in.sent(),
                arrived: forbidden.packets()?,
            };
            ensure!(
                outcome.forbidden.arrived == 0,
                "{} forbidden packets have passed by change {number}, a {kind}",
                outcome.forbidden.arrived
            );
            tell(&outcome);
        }
    }
    outcome.complete = outcome.changed() == plan.changes;
    while outcome.complete && asking.sent().min(breaking_in.sent()) < plan.packets {
        thread::sleep(SETTLED);
    }
    outcome.permitted.sent = asking.stop()?;
    outcome.forbidden.sent = breaking_in.stop()?;
    let [from_vim, from_host] = streams;
    outcome.exchanges = [from_vim.stop()?, from_host.stop()?];
    thread::sleep(SETTLED);
    outcome.permitted.arrived = permitted.packets()?;
    outcome.forbidden.arrived = forbidden.packets()?;
    outcome.queue_drops = queue_drops(&scene)?;
    settle(&agent)?;
    drop(changes);
    outcome.permitted_dropped = agent.counters()?.endpoint("vim-1")?.dropped.packets;
    outcome.usage[1] = usage(&scene, &agent)?;
    let history = agent.ask_json(&["policy", "history", "--verify"])?;
    outcome.history = history["verification"]["lines"]
        .as_u64()
        .context("lines of the history")?;
    enforced(&scene)?;
    outcome.seconds = started.elapsed().as_secs();
    Ok(outcome)
}

fn counted(host: &Namespace, sources: [IpAddr; 2]) -> Result<StackCounter<'_>> {
    StackCounter::of_any(host, &sources)
}

/// Segments to ports of the host's, in both families.
fn frames(mac: Mac, from: (Ipv4Addr, Ipv6Addr), flags: u8, ports: &[u16]) -> Vec<Vec<u8>> {
    let of = |port: u16| {
        let ethernet = Ethernet {
            source: mac,
            ..Ethernet::default()
        };
        let segment = Tcp {
            flags,
            ..Tcp::syn(port)
        };
        let v4 = Packet::new()
            .with(ethernet.clone())
            .with(Ipv4::between(from.0, HOST.v4))
            .with(segment.clone());
        let v6 = Packet::new()
            .with(ethernet)
            .with(Ipv6::between(from.1, HOST.v6))
            .with(segment);
        [v4.build(), v6.build()]
    };
    ports.iter().flat_map(|&port| of(port)).collect()
}

/// What the agent takes, once it has nothing to do.
fn usage(scene: &Topology, agent: &Agent<'_>) -> Result<Usage> {
    let files = fs::read_dir(agent.folder().join("state").join("policies"));
    let pins = scene.host.enter(|| entries(agent.pins()))?;
    Ok(Usage {
        memory_kb: agent.memory_kb()?,
        descriptors: agent.descriptors()?,
        files: files.context("the state folder")?.count(),
        pins: pins?,
    })
}

/// Files in a folder and all below.
fn entries(folder: &std::path::Path) -> Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        found += if entry.file_type()?.is_dir() {
            entries(&entry.path())?
        } else {
            1
        };
    }
    Ok(found)
}

/// Frames that were dropped on the way to the host, before its programs.
fn queue_drops(scene: &Topology) -> Result<u64> {
    let mut drops = 0;
    for (namespace, interfaces) in [
        (&scene.vim, &[NIC][..]),
        (&scene.intruder, &[NIC]),
        (&scene.switch, &[VIM.label, INTRUDER.label, HOST.label]),
    ] {
        for interface in interfaces {
            for counter in ["tx_dropped", "rx_dropped"] {
                let path = format!("/sys/class/net/{interface}/statistics/{counter}");
                let text = namespace.run(&["cat", &path])?;
                drops += text.trim().parse::<u64>().with_context(|| path.clone())?;
            }
        }
    }
    Ok(drops)
}

/// Waits until no policy waits to be confirmed.
fn await_end_of_trial(agent: &Agent<'_>, patience: Duration) -> Result<()> {
    wait::until(&true, patience, || {
        // It ends with a code of its own where something is wrong.
        let output = agent.cli(&["status", "--output", "json"])?;
        let status: serde_json::Value = serde_json::from_str(&output.stdout)?;
        Ok(status["trial"].is_null())
    })
}
