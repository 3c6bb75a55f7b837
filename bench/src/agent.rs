//! What the agent costs: time to enforce and to change a policy, memory, CPU time.

mod memory;
mod table;

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::agent::Agent;
use serde::{Deserialize, Serialize};

use crate::live::{Contender, Fate, Flood, RECEIVER_V4, Scene};
use crate::packets::Family;

/// How long the idle agent's CPU time is measured.
const REST: Duration = Duration::from_secs(10);
/// Packets of the flood during which the CPU time is measured; all are dropped.
const FLOOD: u32 = 40_000_000;
/// Most endpoints of a policy; they share its addresses.
const ENDPOINTS: u32 = 1000;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct AgentCosts {
    /// Policies, the smallest first.
    pub policies: Vec<PolicyCosts>,
    /// CPU time of the idle agent under the first policy, as a part of one core.
    pub processor_at_rest: f64,
    /// CPU time while a flood is dropped, as a part of one core.
    pub processor_in_flood: f64,
    /// Rate of that flood, million packets per second.
    pub flood_mpps: f64,
}

/// What one policy costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct PolicyCosts {
    /// Number of addresses, half IPv4 and half IPv6.
    pub addresses: u32,
    /// Seconds from the start of an agent to its enforcing the policy.
    pub start_s: f64,
    /// Seconds that `policy apply` takes to replace a policy of one address.
    pub apply_s: f64,
    /// The agent's memory after that, MiB.
    pub agent_mib: f64,
    /// The memory of its maps in the kernel, MiB.
    pub maps_mib: f64,
}

/// Measures a policy of each of `counts` addresses, then the agent's CPU time.
pub fn measure(driver: &Path, counts: &[u32]) -> Result<AgentCosts> {
    let scene = Scene::new(Contender::Manoward)?;
    let mut policies = Vec::new();
    for &addresses in counts {
        eprintln!("Measuring the agent with {addresses} addresses ...");
        let costs = costs(&scene, addresses);
        policies.push(costs.with_context(|| format!("with {addresses} addresses"))?);
    }
    let agent = Agent::start(&scene.receiver, &policy(&scene, 1, counts[0]))?;
    thread::sleep(REST / 5);
    let processor_at_rest = share(&agent, || {
        thread::sleep(REST);
        Ok(())
    })?;
    let mut flood = Flood::load(driver)?;
    let mut flood_mpps = 0.0;
    let processor_in_flood = share(&agent, || {
        flood_mpps = flood.run(&scene, Fate::Dropped, FLOOD)?;
        Ok(())
    })?;
    Ok(AgentCosts {
        policies,
        processor_at_rest,
        processor_in_flood,
        flood_mpps,
    })
}

fn costs(scene: &Scene, addresses: u32) -> Result<PolicyCosts> {
    let started = Instant::now();
    let agent = Agent::start(&scene.receiver, &policy(scene, 1, addresses))?;
    let start_s = started.elapsed().as_secs_f64();
    drop(agent);

    let maps = memory::maps()?;
    let agent = Agent::start(&scene.receiver, &policy(scene, 1, 1))?;
    let large = policy(scene, 2, addresses);
    let applied = Instant::now();
    let output = agent.apply(large)?;
    let apply_s = applied.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "the policy was not applied: {}",
        output.stderr
    );
    Ok(PolicyCosts {
        addresses,
        start_s,
        apply_s,
        agent_mib: mib(agent.memory_kb()? * 1024),
        maps_mib: mib(memory::since(&maps)?),
    })
}

/// Bytes in MiB, to a thousandth.
fn mib(bytes: u64) -> f64 {
    f64::from((bytes >> 10) as u32) / 1024.0
}

/// The agent's CPU time while `meanwhile` runs, as a part of one core.
fn share(agent: &Agent<'_>, meanwhile: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (before, start) = (agent.processor_time()?, Instant::now());
    meanwhile()?;
    let used = agent.processor_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() / start.elapsed().as_secs_f64())
}

/// A policy of `addresses` addresses, IPv4 and IPv6 in turns.
fn policy(scene: &Scene, serial: u32, addresses: u32) -> String {
    let each = addresses.div_ceil(ENDPOINTS);
    let mut text = format!(
        "apiVersion: manoward/v1\nname: bench\nserial: {serial}\nmode: enforce\n\
         interfaces: [{}]\nprotect: [{RECEIVER_V4}]\n\
         reference_points: {{ Nf-Vi: {{ from: [vim], services: [libvirt-tls, ssh] }} }}\n\
         endpoints:\n",
        scene.interface
    );
    for first in (0..addresses).step_by(each as usize) {
        let _ = write!(text, "  vim-{first}: {{ role: vim, addresses: [");
        for number in first..(first + each).min(addresses) {
            let family = Family::ALL[number as usize % 2];
            let _ = write!(text, "\"{}\", ", family.allowed(number));
        }
        text.push_str("] }\n");
    }
    text
}
