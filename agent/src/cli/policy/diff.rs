//! `manoward policy diff`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use manoward_api::Difference;

use super::{answer, changes, file};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    tone::Tone,
};

/// Show what applying a policy would change.
///
/// The policy is compared with the one in force by its meaning: comments, order and spelling do
/// not matter. Nothing is changed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy diff policy.yaml
  manoward policy diff policy.yaml --output json | jq '.changes[] | select(.kind == \"removed\")'")]
pub struct Diff {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub async fn run(args: Diff, context: &Context) -> anyhow::Result<Exit> {
    let candidate = file::read(&args.file)?;
    let asking = context.client.diff(&candidate);
    let answer = answer::of(asking, "comparing the policies", &candidate, context).await?;
    let Some(difference) = answer else {
        return Ok(Exit::InvalidPolicy);
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &difference)?,
        Format::Table => show(&mut out, &difference, output::text_width())?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, difference: &Difference, width: Option<u16>) -> io::Result<()> {
    let Difference { from, to, changes } = difference;
    if changes.is_empty() {
        return writeln!(
            out,
            "Nothing would change: serial {from}, which is in force, means the same."
        );
    }
    let in_force = match from {
        0 => "No policy in force".to_owned(),
        from => format!("Serial {from} in force"),
    };
    let heading = format!("{in_force}, serial {to} in the file:");
    writeln!(out, "{}", Tone::Quiet.paint(heading))?;
    changes::show(out, changes, width)
}
