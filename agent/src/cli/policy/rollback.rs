//! `manoward policy rollback`

use std::time::Duration;

use clap::Args;
use manoward_api::RollBack;

use super::{apply, confirm::claim};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    progress, quantity, session,
};

/// Put a policy in force again that was before.
///
/// Its text is applied under the next serial, so that no serial needs to be invented. Without SERIAL
/// it is the policy that was in force before the present one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy rollback
  sudo manoward policy rollback 41 --confirm-within 5m -m \"42 is wrong\"")]
pub struct Rollback {
    /// Serial of the policy, see `policy history`
    #[arg(value_name = "SERIAL")]
    serial: Option<u64>,

    /// Apply it although it would cut the SSH session that it is applied from
    #[arg(long)]
    force: bool,

    /// Go back unless it is confirmed within this time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_time)]
    confirm_within: Option<Duration>,

    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,

    /// Print nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

pub async fn run(args: Rollback, context: &Context) -> anyhow::Result<Exit> {
    let wanted = RollBack {
        serial: args.serial,
        force: args.force,
        session: session::current(),
        confirm_within_seconds: args.confirm_within.map(|within| within.as_secs()),
        by: claim(args.message),
    };
    let asking = context.client.roll_back(&wanted);
    let applied = progress::during("applying the policy", asking).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &applied)?,
        Format::Table if args.quiet => {}
        Format::Table => apply::show(&mut out, &applied, output::text_width())?,
    }
    Ok(Exit::Success)
}
