//! `manoward policy try` and `manoward policy promote`

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use manoward_api::{Newly, Place, Promotion, ShadowReport, ShadowRow, Trying, Way};

use super::{answer, apply, confirm::claim, file};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    progress, prose,
    quantity::{self, counted, grouped, span},
    session,
    table::{Column, Table},
    tone::Tone,
};

/// Have a candidate judge beside the policy in force, and only count.
///
/// The candidate judges every packet that the policy in force judges, with flows and limits of its own.
/// The report shows what it would newly drop and newly admit. Nothing of it is enforced, and it goes on
/// until you stop it, put it in force (`policy promote`) or try another one: also when the agent is
/// restarted. Where another policy is put in force meanwhile, it is compared with that, and counting
/// begins anew.
///
/// A packet costs about twice as much while a candidate is tried, and no more than before otherwise.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy try candidate.yaml
  manoward policy try --report
  manoward policy try --report --output json | jq '.rows[] | select(.newly == \"dropped\")'
  sudo manoward policy promote --confirm-within 5m
  sudo manoward policy try --stop")]
pub struct Try {
    /// The candidate; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["report", "stop"])]
    file: Option<PathBuf>,

    /// Show what the candidate would do otherwise
    #[arg(long, conflicts_with = "file")]
    report: bool,

    /// Try it no more
    #[arg(long, conflicts_with_all = ["file", "report"])]
    stop: bool,
}

/// Put the candidate in force that is being tried.
///
/// It is applied as by `policy apply`, and refused for the same reasons; then it is no longer tried.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy promote --confirm-within 5m
  sudo manoward policy promote --serial auto -m \"nothing was newly dropped for a week\"")]
pub struct Promote {
    /// Apply it although it would cut the SSH session that it is applied from
    #[arg(long)]
    force: bool,

    /// Go back unless it is confirmed within this time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_time)]
    confirm_within: Option<Duration>,

    /// `auto`: give it the next serial in place of its own
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

pub async fn run(args: Try, context: &Context) -> anyhow::Result<Exit> {
    let mut out = output::stdout();
    if args.stop {
        let stopped = context.client.stop_trying().await?;
        match context.format {
            Format::Json => output::json(&mut out, &stopped)?,
            Format::Table => {
                let sentence = format!("serial {} is no longer tried", stopped.serial);
                writeln!(out, "{}", Tone::Good.paint(sentence))?;
            }
        }
        return Ok(Exit::Success);
    }
    let Some(path) = args.file else {
        let report = context.client.trying().await?;
        match context.format {
            Format::Json => output::json(&mut out, &report)?,
            Format::Table => show(&mut out, &report, Timestamp::now(), output::width())?,
        }
        return Ok(Exit::Success);
    };
    let given = file::read(&path)?;
    let mut sent = file::to_keep(&given.candidate);
    sent.session = session::current();
    let trying = context.client.try_beside(&sent);
    let answer = answer::of(trying, "loading the candidate", &given, context).await?;
    let Some(tried) = answer else {
        return Ok(Exit::InvalidPolicy);
    };
    match context.format {
        Format::Json => output::json(&mut out, &tried)?,
        Format::Table => {
            let Trying { serial, beside, .. } = tried.trying;
            let sentence = format!("serial {serial} is tried beside serial {beside}");
            writeln!(out, "{}", Tone::Good.paint(sentence))?;
            interfaces(&mut out, &tried.trying, output::text_width())?;
            let next = "`manoward policy try --report` shows what it would do otherwise.";
            writeln!(out, "{}", prose::indented(next, "", output::text_width()))?;
            answer::foresee(&tried.apply_refuses)?;
        }
    }
    Ok(Exit::Success)
}

pub async fn promote(args: Promote, context: &Context) -> anyhow::Result<Exit> {
    let wanted = Promotion {
        force: args.force,
        session: session::current(),
        confirm_within_seconds: args.confirm_within.map(|within| within.as_secs()),
        next_serial: args.serial.is_some(),
        by: claim(args.message),
    };
    let asking = context.client.promote(&wanted);
    let applied = progress::during("applying the policy", asking).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &applied)?,
        Format::Table if args.quiet => {}
        Format::Table => apply::show(&mut out, &applied, output::text_width())?,
    }
    Ok(Exit::Success)
}

/// Says where the candidate judges nothing, or more than it names.
fn interfaces(out: &mut impl Write, trying: &Trying, width: Option<u16>) -> io::Result<()> {
    if !trying.unseen.is_empty() {
        let text = format!(
            "Only the candidate names {}: what arrives there is judged by it at the host's sockets alone.",
            trying.unseen.join(", ")
        );
        writeln!(
            out,
            "{}",
            Tone::Warning.paint(prose::indented(&text, "", width))
        )?;
    }
    if !trying.beyond.is_empty() {
        let text = format!(
            "The candidate does not name {}, and judges what arrives there all the same.",
            trying.beyond.join(", ")
        );
        writeln!(
            out,
            "{}",
            Tone::Warning.paint(prose::indented(&text, "", width))
        )?;
    }
    Ok(())
}

fn show(
    out: &mut impl Write,
    report: &ShadowReport,
    now: Timestamp,
    width: Option<u16>,
) -> io::Result<()> {
    let trying = &report.trying;
    let text = format!(
        "{}, serial {}, tried beside serial {} for {}",
        trying.name,
        trying.serial,
        trying.beside,
        ago(&trying.since, now)
    );
    writeln!(
        out,
        "{}",
        Tone::Strong.paint(prose::indented(&text, "", width))
    )?;
    interfaces(out, trying, width)?;
    if trying.loading {
        let text =
            "The agent has just started, and is still loading it: this is what was counted before.";
        let text = prose::indented(text, "", width);
        writeln!(out, "{}", Tone::Warning.paint(text))?;
    }
    for (newly, packets, what, tone) in [
        (Newly::Dropped, trying.newly_dropped, "dropped", Tone::Bad),
        (
            Newly::Admitted,
            trying.newly_admitted,
            "admitted",
            Tone::Warning,
        ),
    ] {
        writeln!(out)?;
        if packets == 0 {
            writeln!(out, "Nothing would newly be {what}.")?;
            continue;
        }
        let count = counted(usize::try_from(packets).unwrap_or(usize::MAX), "packet");
        let heading = format!("{count} would newly be {what}:");
        writeln!(out, "{}", tone.paint(heading))?;
        let rows = report.rows.iter().filter(|row| row.newly == newly);
        out.write_all(rows_of(rows, now).render(width).as_bytes())?;
    }
    if trying.unrecorded > 0 {
        let unrecorded = grouped(trying.unrecorded);
        let text =
            format!("{unrecorded} packets of them are in no row: there was no room for more.");
        writeln!(out, "\n{}", prose::indented(&text, "", width))?;
    }
    Ok(())
}

fn rows_of<'a>(rows: impl Iterator<Item = &'a ShadowRow>, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::Short("WAY"),
        Column::Long("WHO"),
        Column::Short("SERVICE"),
        Column::Long("REASON"),
        Column::Number("PACKETS"),
        Column::Number("FIRST"),
        Column::Number("LAST"),
    ]);
    for row in rows {
        table.row([
            Tone::Quiet.cell(way(row)),
            Tone::Strong.cell(who(row)),
            Tone::Plain.cell(row.service.as_deref().unwrap_or("-")),
            Tone::Plain.cell(&row.reason),
            Tone::Plain.cell(grouped(row.packets)),
            Tone::Quiet.cell(ago(&row.first, now)),
            Tone::Quiet.cell(ago(&row.last, now)),
        ]);
    }
    table
}

const fn way(row: &ShadowRow) -> &'static str {
    match (row.place, row.direction) {
        (Place::Wire, Way::In) => "in",
        (Place::Wire, Way::Out) => "out",
        (Place::Door, Way::In) => "door in",
        (Place::Door, Way::Out) => "door out",
    }
}

fn who(row: &ShadowRow) -> String {
    match (&row.endpoint, row.address) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "(further addresses)".to_owned(),
    }
}

/// How long before `now` a time (RFC 3339) was.
fn ago(time: &str, now: Timestamp) -> String {
    time.parse::<Timestamp>().map_or_else(
        |_| time.to_owned(),
        |time| span(now.duration_since(time).as_secs_f64().max(0.0)),
    )
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn row(newly: Newly, endpoint: Option<&str>, address: Option<&str>) -> ShadowRow {
        ShadowRow {
            newly,
            place: Place::Wire,
            direction: Way::In,
            endpoint: endpoint.map(str::to_owned),
            address: address.map(|text| text.parse().unwrap()),
            reference_point: Some("Nf-Vi".to_owned()),
            service: Some("ssh".to_owned()),
            reason: "unknown-source".to_owned(),
            packets: 1_234_567,
            bytes: 1 << 40,
            first: "2026-01-01T00:00:00Z".to_owned(),
            last: "2026-01-01T11:59:59Z".to_owned(),
        }
    }

    fn report(rows: Vec<ShadowRow>) -> ShadowReport {
        let of = |newly| {
            let rows = rows.iter().filter(|row| row.newly == newly);
            rows.map(|row| row.packets).sum()
        };
        ShadowReport {
            trying: Trying {
                name: "compute-17".to_owned(),
                serial: 42,
                file: "/etc/manoward/candidate.yaml".to_owned(),
                beside: 41,
                since: "2026-01-01T00:00:00Z".to_owned(),
                loading: false,
                newly_dropped: of(Newly::Dropped),
                newly_admitted: of(Newly::Admitted),
                unrecorded: 0,
                unseen: Vec::new(),
                beyond: Vec::new(),
            },
            rows,
        }
    }

    fn shown(report: &ShadowReport) -> String {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let mut out = Vec::new();
        show(&mut out, report, now, Some(80)).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn a_candidate_that_does_the_same_says_so() {
        assert_eq!(
            shown(&report(Vec::new())),
            "compute-17, serial 42, tried beside serial 41 for 12h 0m\n\n\
             Nothing would newly be dropped.\n\nNothing would newly be admitted.\n"
        );
    }

    #[test]
    fn rows_fit_a_terminal_whoever_is_at_the_far_end() {
        let longest = "2001:db8:1234:5678:9abc:def0:1234:5678";
        let rows = vec![
            row(Newly::Dropped, Some("vim-1"), None),
            ShadowRow {
                place: Place::Door,
                direction: Way::Out,
                service: None,
                reason: "fragment-unpermitted".to_owned(),
                ..row(Newly::Dropped, None, Some(longest))
            },
            row(Newly::Admitted, None, None),
        ];
        let text = shown(&report(rows));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(
            text.contains("2,469,134 packets would newly be dropped:"),
            "{text}"
        );
        assert!(
            text.contains("1,234,567 packets would newly be admitted:"),
            "{text}"
        );
        for word in ["vim-1", "door out", "12h 0m", "1s"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
