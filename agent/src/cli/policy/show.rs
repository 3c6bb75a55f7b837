//! `manoward policy show`

use std::io::Write as _;

use clap::Args;

use crate::cli::{
    Context, Exit,
    output::{self, Format},
};

/// Print the policy in force, as it was applied.
///
/// With `--output json` its serial, the file that it came from and the time when it was applied are
/// shown, too.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy show > policy.yaml
  manoward policy show --output json | jq -r .applied")]
pub struct Show {}

pub async fn run(_: Show, context: &Context) -> anyhow::Result<Exit> {
    let policy = context.client.policy().await?;
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
