//! `manoward policy confirm` and `manoward policy cancel`

use std::io::Write as _;

use clap::Args;
use manoward_api::Claim;

use crate::cli::{
    Context, Exit,
    output::{self, Format},
    session,
    tone::Tone,
};

/// Keep the policy that waits to be confirmed.
///
/// It counts only if it shows that the new policy lets you in: over a connection that you opened
/// after the change and that the policy admits in both directions, or from the console of the host.
/// The kernel is asked which connection the command came over.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ssh root@compute-17 manoward policy confirm
  sudo manoward policy confirm --message \"monitoring is back\"")]
pub struct Confirm {
    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

/// Go back at once to the policy that was confirmed last.
///
/// The policy that waits to be confirmed is no longer in force, and is never enforced again unless
/// somebody applies it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy cancel
  sudo manoward policy cancel --message \"the VIM could not reach us\"")]
pub struct Cancel {
    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

/// What is told of a change, besides `message`.
pub fn claim(message: Option<String>) -> Claim {
    Claim {
        message,
        came_over: session::came_over(),
    }
}

pub async fn confirm(args: Confirm, context: &Context) -> anyhow::Result<Exit> {
    let confirmed = context.client.confirm(&claim(args.message)).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &confirmed)?,
        Format::Table => {
            let sentence = format!("serial {} is confirmed", confirmed.serial);
            writeln!(out, "{}", Tone::Good.paint(sentence))?;
        }
    }
    Ok(Exit::Success)
}

pub async fn cancel(args: Cancel, context: &Context) -> anyhow::Result<Exit> {
    let cancelled = context.client.cancel(&claim(args.message)).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &cancelled)?,
        Format::Table => {
            let sentence = cancelled.serial.map_or_else(
                || "nothing is enforced, as before".to_owned(),
                |serial| format!("serial {serial} is in force again"),
            );
            writeln!(out, "{}", Tone::Good.paint(sentence))?;
        }
    }
    Ok(Exit::Success)
}
