//! `manoward flows cut`

use std::io::Write as _;

use anyhow::bail;
use clap::Args;

use super::{Selectors, show};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity::counted,
};

/// End connections.
///
/// The kernel resets TCP connections of this host, in either direction, and what the host has begun loses
/// its flow, so that the peer's packets are no answers any more. The policy does not change: who may
/// connect may connect again. Datagrams that peers send to a service cannot be cut, only refused by the
/// policy. A connection is cut if it matches all options given, of which there is to be at least one. Without
/// --yes, those that would be cut are listed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward flows cut --from 198.51.100.7 --port 22
  manoward flows cut --from 198.51.100.7 --port 22 --yes
  manoward flows cut --endpoint vim-1 --direction out --yes --output json")]
pub struct Cut {
    #[command(flatten)]
    selectors: Selectors,

    /// Cut them, without listing them first
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: Cut, context: &Context) -> anyhow::Result<Exit> {
    if args.selectors == Selectors::default() {
        bail!("say which connections: `manoward flows cut --help` lists the options");
    }
    let query = args.selectors.query(None);
    let mut out = output::stdout();
    if !args.yes {
        let list = context.client.flows(&query).await?;
        match context.format {
            Format::Json => output::json(&mut out, &list)?,
            Format::Table => {
                show::flows(&mut out, &list, output::width())?;
                writeln!(out, "Nothing was cut. Repeat it with --yes to cut these.")?;
            }
        }
        return Ok(Exit::Success);
    }
    let ended = context.client.cut(&query).await?;
    match context.format {
        Format::Json => output::json(&mut out, &ended)?,
        Format::Table => {
            writeln!(out, "{} cut.", counted(ended.cut.len(), "connection"))?;
            for flow in &ended.left {
                writeln!(
                    out,
                    "not cut: {}, {} from {}",
                    flow.protocol, flow.local, flow.remote
                )?;
            }
        }
    }
    Ok(if ended.left.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    })
}
