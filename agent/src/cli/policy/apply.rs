//! `manoward policy apply`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use manoward_api::Applied;

use super::{
    answer, changes, file,
    report::{self, Look},
};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity::{bytes, grouped},
    session,
    tone::Tone,
};

/// Put a policy in force.
///
/// The old policy stays in force until the new one is complete in the kernel; every packet is
/// judged by one of the two. A policy is refused (exit code 5) if its serial is not higher than the
/// one in force, or if it would cut the SSH session that it is applied from.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy apply policy.yaml
  sudo manoward policy apply --force policy.yaml
  generate-policy | sudo manoward policy apply -")]
pub struct Apply {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Apply it although it would cut the SSH session that it is applied from
    #[arg(long)]
    force: bool,
}

pub async fn run(args: Apply, context: &Context) -> anyhow::Result<Exit> {
    let candidate = file::read(&args.file)?;
    let mut sent = file::to_keep(&candidate);
    sent.force = args.force;
    sent.session = session::current();
    let applying = context.client.apply(&sent);
    let answer = answer::of(applying, "applying the policy", &candidate, context).await?;
    let Some(applied) = answer else {
        return Ok(Exit::InvalidPolicy);
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &applied)?,
        Format::Table => show(&mut out, &candidate.file, &applied, Look::of_stdout())?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, file: &str, applied: &Applied, look: Look) -> io::Result<()> {
    let width = match look {
        Look::Drawn(width) => Some(width),
        Look::Lines => None,
    };
    changes::show(out, &applied.changes, width)?;
    if applied.changes.is_empty() {
        writeln!(out, "The new policy means the same as the old one.")?;
    }
    if !applied.lints.is_empty() {
        writeln!(out)?;
        report::lints(out, file, &applied.lints, look)?;
    }
    let in_force = format!("serial {} is in force", applied.serial);
    writeln!(
        out,
        "{}: {} addresses and prefixes, {} in the kernel",
        Tone::Good.paint(in_force),
        grouped(applied.addresses as u64),
        bytes(applied.image_bytes),
    )?;
    let timings = format!(
        "read in {} ms, compiled in {} ms, published in {} ms",
        grouped(applied.read_ms),
        grouped(applied.compile_ms),
        grouped(applied.publish_ms),
    );
    writeln!(out, "{}", Tone::Quiet.paint(timings))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn what_was_applied_and_how_long_it_took() {
        let applied = Applied {
            serial: 42,
            changes: Vec::new(),
            lints: Vec::new(),
            addresses: 100_000,
            image_bytes: 12_345_678,
            read_ms: 1200,
            compile_ms: 30,
            publish_ms: 2,
        };
        let mut out = Vec::new();
        show(&mut out, "p.yaml", &applied, Look::Lines).unwrap();
        assert_eq!(
            strip_str(str::from_utf8(&out).unwrap()).to_string(),
            "The new policy means the same as the old one.\n\
             serial 42 is in force: 100,000 addresses and prefixes, 12 MB in the kernel\n\
             read in 1,200 ms, compiled in 30 ms, published in 2 ms\n"
        );
    }
}
