//! `manoward policy patch`

use std::time::Duration;

use clap::Args;
use manoward::policy::patch::parse_entry;
use manoward_api::{Patch as Wanted, PatchedAddress};

use super::{apply::show, confirm::claim};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity, session,
};

/// Add addresses to endpoints of the policy in force, or remove some.
///
/// The policy after the change gets the next serial, is kept and listed in the history as one that was
/// applied, and is refused under the same conditions. The policy file is not changed: put the same into it, and
/// apply it with a higher serial (`--serial auto`), before the next change by file. A policy of a million
/// addresses is not compiled anew for one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy patch --add-address vim-1=192.0.2.11
  sudo manoward policy patch --add-address vim-1=2001:db8::11 --remove-address vim-1=192.0.2.10
  sudo manoward policy patch --confirm-within 1m --remove-address bastion=198.51.100.0/28")]
pub struct Patch {
    /// Add this address or prefix to the endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT=ADDRESS", value_parser = parse_entry,
          required_unless_present = "remove_address")]
    add_address: Vec<(String, String)>,

    /// Remove this address or prefix from the endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT=ADDRESS", value_parser = parse_entry)]
    remove_address: Vec<(String, String)>,

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

pub async fn run(args: Patch, context: &Context) -> anyhow::Result<Exit> {
    let entries = |all: Vec<(String, String)>| {
        let all = all.into_iter();
        all.map(|(endpoint, address)| PatchedAddress { endpoint, address })
            .collect()
    };
    let wanted = Wanted {
        add: entries(args.add_address),
        remove: entries(args.remove_address),
        force: args.force,
        session: session::current(),
        confirm_within_seconds: args.confirm_within.map(|within| within.as_secs()),
        by: claim(args.message),
    };
    let applied = context.client.patch(&wanted).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &applied)?,
        Format::Table if args.quiet => {}
        Format::Table => show(&mut out, &applied, output::text_width())?,
    }
    Ok(Exit::Success)
}
