//! The command line: what all commands share. Each command is a file of its own, with its
//! arguments and what it does.

pub mod agent;
pub mod completions;
pub mod detach;
pub mod endpoints;
pub mod exit;
pub mod explain;
pub mod flows;
pub mod join;
pub mod lease;
pub mod man;
mod output;
pub mod pki;
pub mod policy;
mod progress;
mod prose;
mod quantity;
pub mod schema;
pub mod services;
mod session;
pub mod stats;
pub mod status;
mod table;
mod tone;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use manoward::{
    config::DEFAULT_SOCKET,
    control::client::{Client, ClientError},
};

pub use exit::Exit;
use output::{Color, Format};
use tone::Tone;

/// Admits management traffic on NFVI compute hosts only from authenticated endpoints.
///
/// A policy names the endpoints of the management plane, their roles, and the services that each
/// role may use. The agent compiles it and pushes it into XDP programs, which judge every packet
/// to the host's protected addresses; the other commands talk to the agent over its socket.
#[derive(Parser)]
#[command(
    name = "manoward",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = exit::HELP
)]
pub struct Cli {
    /// The agent's control socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "MANOWARD_SOCKET",
        default_value = DEFAULT_SOCKET,
        help_heading = "Global options"
    )]
    pub socket: PathBuf,

    /// How to show what is found: for people, or for programs with exact numbers
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "table|json",
        hide_possible_values = true,
        default_value_t,
        help_heading = "Global options"
    )]
    pub output: Format,

    /// When to use colours; `auto` heeds the terminal and `NO_COLOR`
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "auto|always|never",
        hide_possible_values = true,
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: Color,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// All commands.
#[derive(Subcommand)]
pub enum Command {
    Agent(agent::Agent),
    Policy(policy::Policy),
    Status(status::Status),
    Stats(stats::Stats),
    Endpoints(endpoints::Endpoints),
    Flows(flows::Flows),
    Lease(lease::Lease),
    Services(services::Services),
    Explain(explain::Explain),
    Join(join::Join),
    Detach(detach::Detach),
    Pki(pki::Pki),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
}

/// What every command is given.
pub struct Context {
    /// The agent.
    pub client: Client,
    /// How to show what is found.
    pub format: Format,
}

impl Context {
    /// What the global options say.
    pub fn new(cli: &Cli) -> Self {
        Self {
            client: Client::new(&cli.socket),
            format: cli.output,
        }
    }
}

/// Tells how a command ended, if it did not end well.
pub fn end(ended: anyhow::Result<Exit>, context: &Context) -> Exit {
    let error = match ended {
        Ok(exit) => return exit,
        Err(error) if exit::is_broken_pipe(&error) => return Exit::Success,
        Err(error) => error,
    };
    let failure = error
        .downcast_ref::<ClientError>()
        .and_then(ClientError::failure);
    if let (Format::Json, Some(failure)) = (context.format, failure) {
        // The reader has gone, or the message below says the same.
        let _ = output::json(&mut output::stdout(), failure);
    }
    let exit = Exit::of(&error);
    let mut message = message(&error);
    if exit == Exit::NotPermitted && failure.is_none() {
        message.push_str(". This needs root: use sudo");
    }
    // Nobody is left to tell that standard error is closed.
    let _ = output::remark(Tone::Bad, "error", &message);
    exit
}

/// What went wrong and why, without saying twice what an error already says about its cause.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests;
