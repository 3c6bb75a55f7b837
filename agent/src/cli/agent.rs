//! `manoward agent`

use std::path::PathBuf;

use clap::Args;
use manoward::{config::DEFAULT_PATH, daemon};

use super::Exit;

/// Run the agent in the foreground.
///
/// It enforces the policy that was applied last, follows the host's interfaces and addresses, and
/// answers the other commands. When it stops, the programs stay attached and go on enforcing;
/// `manoward detach` removes them. It notifies systemd when it is ready.
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
