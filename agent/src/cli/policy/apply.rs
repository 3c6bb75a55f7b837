//! `manoward policy apply`

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use manoward_api::{Applied, Object};

use super::{answer, confirm::claim, file};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    prose,
    quantity::{self, bytes, counted, grouped},
    session,
    tone::Tone,
};

/// Put a policy in force.
///
/// The old policy stays in force until the new one is complete in the kernel; every packet is
/// judged by one of the two. A policy is refused (exit code 5) if its serial is not higher than the
/// one in force, or if it would cut the SSH session that it is applied from.
///
/// With --confirm-within, the kernel itself goes back to the policy that was confirmed last, unless
/// the new one is confirmed in time (`policy confirm`): also if nobody can log in any more, or the
/// agent has died. A policy that is applied meanwhile takes the place of the one that waits, for as
/// long again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy apply --confirm-within 5m policy.yaml
  sudo manoward policy apply --force policy.yaml
  sudo manoward policy apply --serial auto -m \"as last week\" policy.yaml
  generate-policy | sudo manoward policy apply -")]
pub struct Apply {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Apply it although it would cut the SSH session that it is applied from
    #[arg(long)]
    force: bool,

    /// Go back unless it is confirmed within this time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_time)]
    confirm_within: Option<Duration>,

    /// `auto`: give it the next serial in place of its own, as after `git revert`
    #[arg(long, value_name = "auto", hide_possible_values = true)]
    serial: Option<Serial>,

    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,

    /// Print nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

/// Which serial a policy gets.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Serial {
    /// The next.
    Auto,
}

/// For who comes from elsewhere, and could be locked out.
const PROPOSAL: &str = "with --confirm-within 5m, the policy before would return by itself if this \
                        one locked you out";

pub async fn run(args: Apply, context: &Context) -> anyhow::Result<Exit> {
    let given = file::read(&args.file)?;
    let mut sent = file::to_keep(&given.candidate);
    sent.force = args.force;
    sent.session = session::current();
    sent.confirm_within_seconds = args.confirm_within.map(|within| within.as_secs());
    sent.next_serial = args.serial.is_some();
    sent.by = claim(args.message);
    let remote = sent.session.is_some() || !sent.by.came_over.is_empty();
    let applying = context.client.apply(&sent);
    let answer = answer::of(applying, "applying the policy", &given, context).await?;
    let Some(applied) = answer else {
        return Ok(Exit::InvalidPolicy);
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &applied)?,
        Format::Table if args.quiet => {}
        Format::Table => {
            show(&mut out, &applied, output::text_width())?;
            if remote && applied.confirm_within_seconds.is_none() {
                output::remark(Tone::Quiet, "note", PROPOSAL)?;
            }
        }
    }
    Ok(Exit::Success)
}

/// Tells what was applied: how much has changed, and how much there is to remark.
pub fn show(out: &mut impl Write, applied: &Applied, width: Option<u16>) -> io::Result<()> {
    let meaning = applied
        .changes
        .iter()
        .filter(|change| change.object != Object::Policy || !change.detail.starts_with("serial "));
    match meaning.count() {
        0 => writeln!(out, "The new policy means the same as the old one.")?,
        changes => {
            let changes = counted(changes, "change");
            let text = applied.replaces.map_or_else(
                || format!("{changes}."),
                |before| {
                    format!(
                        "{changes}: see `manoward policy diff {before} {}`.",
                        applied.serial
                    )
                },
            );
            writeln!(out, "{}", prose::indented(&text, "", width))?;
        }
    }
    if !applied.lints.is_empty() {
        let text = format!(
            "{}: see `manoward policy check`.",
            counted(applied.lints.len(), "remark")
        );
        writeln!(out, "{}", prose::indented(&text, "", width))?;
    }
    let in_force = format!("serial {} is in force", applied.serial);
    writeln!(
        out,
        "{}: {} addresses and prefixes, {} in the kernel",
        Tone::Good.paint(in_force),
        grouped(applied.addresses as u64),
        bytes(applied.image_bytes),
    )?;
    if let Some(seconds) = applied.confirm_within_seconds {
        let then = applied.goes_back_to.map_or_else(
            || "nothing is enforced any more".to_owned(),
            |serial| format!("serial {serial} returns"),
        );
        let text = format!(
            "Unless it is confirmed within {seconds} s, {then}. Log in anew, and run `manoward \
             policy confirm` there."
        );
        let text = prose::indented(&text, "", width);
        writeln!(out, "{}", Tone::Warning.paint(text))?;
    }
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
            confirm_within_seconds: None,
            replaces: Some(41),
            goes_back_to: None,
        };
        let mut out = Vec::new();
        show(&mut out, &applied, None).unwrap();
        assert_eq!(
            strip_str(str::from_utf8(&out).unwrap()).to_string(),
            "The new policy means the same as the old one.\n\
             serial 42 is in force: 100,000 addresses and prefixes, 12 MB in the kernel\n\
             read in 1,200 ms, compiled in 30 ms, published in 2 ms\n"
        );
    }
}
