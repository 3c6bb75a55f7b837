//! `manoward agent`

use std::path::PathBuf;

use clap::Args;
use manoward::{config::DEFAULT_PATH, daemon};

use super::Exit;

/// Run the agent in the foreground.
///
/// It enforces the policy that was applied last, follows the host's interfaces and addresses, and
/// answers the other commands. What it enforces stays in force when it ends; `manoward detach`
/// ends that. A service manager is told when it is ready.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward agent
  sudo manoward agent --config ./agent.yaml
  systemctl start manoward")]
pub struct Agent {
    /// The agent's configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

pub async fn run(args: Agent) -> anyhow::Result<Exit> {
    let config = args.config;
    daemon::run(daemon::Options { config }).await?;
    Ok(Exit::Success)
}
