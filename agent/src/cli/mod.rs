//! The command line. Here is what all commands share; each command has its own file, with its
//! arguments and its `run`.

pub mod agent;
pub mod break_glass;
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
mod pinned;
pub mod pki;
pub mod policy;
mod port;
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

use manoward_api::Failure;

pub use exit::Exit;
use output::{Color, Format};
use tone::Tone;

/// Admits management traffic on NFVI compute hosts only from authenticated endpoints.
///
/// A policy names the endpoints of the management plane, their roles, and the services that each
/// role may use. The agent compiles it and loads it into the kernel, where XDP and TC programs
/// judge every packet to or from the host's protected addresses; the other commands talk to the
/// agent over its socket.
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

    /// Output format: for people, or for programs with exact numbers
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

    /// When to use colours; `auto`: on a terminal, unless `NO_COLOR` is set
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
    BreakGlass(break_glass::BreakGlass),
    Join(join::Join),
    Detach(detach::Detach),
    /// The process that looks at proofs; the agent starts it
    #[command(hide = true)]
    EnrolmentProcess,
    Pki(pki::Pki),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
}

/// What every command is given.
pub struct Context {
    /// Client of the agent's API.
    pub client: Client,
    /// Output format.
    pub format: Format,
}

impl Context {
    /// From the global options.
    pub fn new(cli: &Cli) -> Self {
        Self {
            client: Client::new(&cli.socket),
            format: cli.output,
        }
    }
}

/// Reports the error of a command, if it failed, and returns its exit code.
pub fn end(ended: anyhow::Result<Exit>, context: &Context) -> Exit {
    let error = match ended {
        Ok(exit) => return exit,
        Err(error) if exit::is_broken_pipe(&error) => return Exit::Success,
        Err(error) => error,
    };
    let failure = error
        .downcast_ref::<ClientError>()
        .and_then(ClientError::failure);
    let exit = Exit::of(&error);
    let mut message = message(&error);
    if exit == Exit::NotPermitted && !error.is::<ClientError>() {
        message.push_str(". This needs root: use sudo");
    }
    if context.format == Format::Json {
        let own = || Failure {
            message: message.clone(),
            code: exit.name().to_owned(),
            report: None,
        };
        let failure = failure.cloned().unwrap_or_else(own);
        // If this fails, the message below is still written.
        let _ = output::json(&mut output::stdout(), &failure);
    }
    // Standard error is closed: there is nowhere to report it.
    let _ = output::remark(Tone::Bad, "error", &message);
    exit
}

/// The error and its causes, without those whose text the message already contains.
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
