//! `manoward policy show`

use std::io::Write as _;

use clap::Args;
use manoward_api::PolicyQuery;

use crate::cli::{
    Context, Exit,
    output::{self, Format},
};

/// Print the policy in force, or one that was, as it was applied.
///
/// The texts of the last hundred policies are kept. With `--output json` its serial, the file that it came from and the time when it was applied are
/// shown, too.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy show > policy.yaml
  manoward policy show 41
  manoward policy show --output json | jq -r .applied")]
pub struct Show {
    /// Serial of the policy, see `policy history`
    #[arg(value_name = "SERIAL")]
    serial: Option<u64>,
}

pub async fn run(args: Show, context: &Context) -> anyhow::Result<Exit> {
    let query = PolicyQuery {
        serial: args.serial,
    };
    let policy = context.client.policy(&query).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &policy)?,
        Format::Table => {
            out.write_all(policy.text.as_bytes())?;
            if !policy.text.ends_with('\n') {
                writeln!(out)?;
            }
        }
    }
    Ok(Exit::Success)
}
