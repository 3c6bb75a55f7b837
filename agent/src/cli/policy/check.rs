//! `manoward policy check`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use manoward::{
    control::client::ClientError,
    datapath::interface::Interfaces,
    enforcer::{Review, host_facts},
    policy,
};
use manoward_api::{Candidate, Report};

use super::{
    answer,
    file::{self, Given},
    report::{self, Look},
};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    progress,
    quantity::counted,
    session,
    tone::Tone,
};

/// Show all mistakes in a policy, and remarks on it.
///
/// Mistakes make a policy invalid. Remarks are about what is valid but probably not intended. If
/// the agent runs, it does the check: it also knows whether the programs can be attached to the
/// interfaces, and whether the policy fits into the kernel. Otherwise the file is checked, and how
/// it fits this host. Nothing is changed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy check policy.yaml
  manoward policy check --offline --deny warnings policy.yaml
  manoward policy check --explain-effective policy.yaml
  manoward policy check policy.yaml --output json | jq '.lints[].code'

With mistakes the exit code is 3; remarks alone change it with --deny warnings. A
file accepts remarks by `accept: { CODE: reason }`.")]
pub struct Check {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print what the file comes to with those beside it, and where each part is written
    #[arg(long)]
    explain_effective: bool,

    /// Check the file and this host only, without asking the agent
    #[arg(long)]
    offline: bool,

    /// `warnings`: end with code 3 if there are remarks that the file does not accept
    #[arg(long, value_name = "warnings", hide_possible_values = true)]
    deny: Option<Deny>,
}

/// What is not let pass.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    /// Remarks.
    Warnings,
}

pub async fn run(args: Check, context: &Context) -> anyhow::Result<Exit> {
    let mut given = file::read(&args.file)?;
    given.candidate.session = session::current();
    if args.explain_effective && given.broken.is_none() {
        return effective(&given, context);
    }
    let candidate = &given.candidate;
    let (report, unasked) = if let Some(report) = given.broken.clone() {
        (report, None)
    } else if args.offline {
        (offline(candidate).await, None)
    } else {
        let asking = context.client.check(candidate);
        match progress::during("checking the policy", asking).await {
            Ok(report) => (report, None),
            Err(ClientError::Failed(failure)) => return Err(ClientError::Failed(failure).into()),
            Err(error) => (offline(candidate).await, Some(error)),
        }
    };
    let report = given.located(report);
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &report)?,
        Format::Table => {
            show(&mut out, &given, &report, Look::of_stdout())?;
            answer::foresee(&report.apply_refuses)?;
        }
    }
    if let Some(error) = unasked {
        let note = "interfaces and size were not checked, as the agent was not asked";
        output::remark(Tone::Warning, "note", &format!("{note}: {error}"))?;
    }
    let denied = args.deny.is_some() && !report.lints.is_empty();
    Ok(if report.valid && !denied {
        Exit::Success
    } else {
        Exit::InvalidPolicy
    })
}

/// Prints the policy that its files come to, with the places where its parts are written.
fn effective(given: &Given, context: &Context) -> anyhow::Result<Exit> {
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &given.candidate)?,
        Format::Table => {
            let text = given.sources.annotated();
            out.write_all(text.unwrap_or(&given.candidate.text).as_bytes())?;
        }
    }
    Ok(Exit::Success)
}

/// Checks the file, and how it fits this host if its interfaces can be read.
async fn offline(candidate: &Candidate) -> Report {
    let validated = match policy::read(&candidate.text, &candidate.file) {
        Ok(validated) => validated,
        Err(error) => return Review::from(&error).into(),
    };
    let interfaces = Interfaces::read().await.ok();
    let facts = interfaces.map(|interfaces| host_facts(&interfaces, &validated.policy));
    Review {
        lints: validated.lint(facts.as_ref()),
        ..Review::default()
    }
    .into()
}

fn show(out: &mut impl Write, given: &Given, report: &Report, look: Look) -> io::Result<()> {
    let candidate = &given.candidate;
    if !report.valid {
        report::mistakes(out, given, report, look)?;
    }
    report::lints(out, &candidate.file, &report.lints, look)?;
    let (tone, verdict) = if report.valid {
        (Tone::Good, "valid".to_owned())
    } else {
        (Tone::Bad, counted(report.mistake_count, "mistake"))
    };
    let remarks = match report.lints.len() {
        0 => String::new(),
        remarks => format!(", {}", counted(remarks, "remark")),
    };
    writeln!(out, "{}: {}{remarks}", candidate.file, tone.paint(verdict))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../../examples/compute.yaml");

    fn checked(text: &str) -> (Report, String) {
        let candidate = Candidate {
            text: text.into(),
            file: "p.yaml".into(),
            ..Candidate::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let report = runtime.block_on(offline(&candidate));
        let mut out = Vec::new();
        show(&mut out, &candidate.into(), &report, Look::Lines).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        (report, text)
    }

    #[test]
    fn the_example_is_valid() {
        let (report, text) = checked(EXAMPLE);
        assert!(report.valid);
        assert!(text.contains("p.yaml: valid, "), "{text}");
        assert!(text.contains("warning[plaintext-service]"), "{text}");
    }

    #[test]
    fn mistakes_are_counted() {
        let (report, text) = checked("name: x\nserial: many\n");
        assert!(!report.valid);
        let last = text.lines().last().unwrap();
        assert_eq!(last, format!("p.yaml: {} mistakes", report.mistake_count));
    }
}
