//! Shows manoward at work on real traffic between network namespaces.
//!
//! Run by `cargo xtask demo`, which builds the agent and names it in `MANOWARD_BIN`. Every step has
//! an expectation; the program fails if one is not met. Nothing outlives it, also on Ctrl-C: its
//! namespaces have no name and hold everything made in them.

mod admission;
mod authority;
mod before;
mod binding;
mod counts;
mod identity;
mod impostor;
mod scene;
mod stage;
mod tenants;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use harness::Agent;
use harness::agent::Hook;

use scene::Scene;
use stage::Stage;

/// Shows manoward at work on real traffic between network namespaces.
#[derive(Parser)]
#[command(name = "manoward-demo")]
struct Args {
    /// The policy that is enforced.
    #[arg(long, value_name = "FILE", default_value = "examples/compute.yaml")]
    policy: PathBuf,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let policy = fs::read_to_string(&args.policy)
        .with_context(|| format!("reading {}", args.policy.display()))?;
    let mut stage = Stage::default();
    scene::introduce();
    let scene = Scene::new()?;

    stage.act("Without manoward");
    before::play(&mut stage, &scene);
    let undisturbed = tenants::play_before(&mut stage, &scene);

    stage.act(&format!("With manoward and {}", args.policy.display()));
    let agent = start(&mut stage, &scene, &policy)?;
    admission::play(&mut stage, &scene);
    binding::play(&mut stage, &scene, &agent);
    tenants::play_after(&mut stage, &scene, undisturbed);

    stage.act("With proof of identity: certificates made by manoward pki");
    let joined = identity::play(&mut stage, &scene, &agent, &policy)?;

    stage.act("What the operator sees");
    counts::play(&mut stage, &scene, &agent);
    drop(joined);
    Ok(stage.conclude())
}

/// Starts the agent. Only a failure of this step ends the demo, as nothing works without an agent.
fn start<'a>(stage: &mut Stage, scene: &'a Scene, policy: &str) -> Result<Agent<'a>> {
    let (host, settings) = (&scene.topology.host, scene.authority.settings());
    let agent = Agent::start_with(host, policy, Hook::Xdp, &settings);
    let agent = agent.context("starting the agent")?;
    stage.step("the agent on the host", || {
        let status = agent.cli(&["status"])?.stdout;
        let headline = status.lines().next().unwrap_or_default();
        anyhow::ensure!(
            headline.contains("enforcing compute-17"),
            "it says: {headline}"
        );
        Ok(headline.to_owned())
    });
    Ok(agent)
}
