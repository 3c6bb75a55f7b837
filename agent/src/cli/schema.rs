//! `manoward schema`

use clap::Args;
use manoward::policy::json_schema;

use super::{Exit, output};

/// Print the JSON Schema of the policy.
///
/// With it, editors complete and check a policy while it is written. It does not cover every rule;
/// `manoward policy check` does.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward schema > /etc/manoward/policy.schema.json

  With the YAML language server, the policy's first line names it:
  # yaml-language-server: $schema=/etc/manoward/policy.schema.json")]
pub struct Schema {}

pub fn run(_: Schema) -> anyhow::Result<Exit> {
    output::json(&mut output::stdout(), &json_schema())?;
    Ok(Exit::Success)
}
