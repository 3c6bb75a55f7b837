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
    answer, file,
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
  manoward policy check policy.yaml --output json | jq '.lints[].code'

With mistakes the exit code is 3; remarks alone change it with --deny warnings. A
file accepts remarks by `accept: { CODE: reason }`.")]
pub struct Check {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

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
    let mut candidate = file::read(&args.file)?;
    candidate.session = session::current();
    let (report, unasked) = if args.offline {
        (offline(&candidate).await, None)
    } else {
        let asking = context.client.check(&candidate);
        match progress::during("checking the policy", asking).await {
            Ok(report) => (report, None),
            Err(ClientError::Failed(failure)) => return Err(ClientError::Failed(failure).into()),
            Err(error) => (offline(&candidate).await, Some(error)),
        }
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &report)?,
        Format::Table => {
            show(&mut out, &candidate, &report, Look::of_stdout())?;
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

fn show(
    out: &mut impl Write,
    candidate: &Candidate,
    report: &Report,
    look: Look,
) -> io::Result<()> {
    if !report.valid {
        report::mistakes(out, candidate, report, look)?;
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
        show(&mut out, &candidate, &report, Look::Lines).unwrap();
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
