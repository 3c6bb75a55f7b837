//! `manoward policy history`

use std::io::{self, Write};

use clap::Args;
use manoward_api::{Event, History, HistoryEntry, HistoryQuery, Verification};

use crate::cli::{
    Context, Exit,
    output::{self, Format},
    prose,
    quantity::counted,
    table::{Column, Table},
    tone::Tone,
};

/// List what was done to the policy in force, by whom and why.
///
/// Each entry has the serial of a policy and what became of it: it was applied; it was tried, and then
/// confirmed, lapsed or cancelled; or it was found in force by an agent that knew nothing of it. Doors of
/// `break-glass` that were opened and closed under it are listed, too.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy history
  manoward policy history --verify
  manoward policy history --output json | jq '.entries[] | select(.event == \"lapsed\")'")]
pub struct List {
    /// Look if the history and the policies that are kept are as they were written
    #[arg(long)]
    verify: bool,
}

pub async fn run(args: List, context: &Context) -> anyhow::Result<Exit> {
    let query = HistoryQuery {
        verify: args.verify,
    };
    let history = context.client.history(&query).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &history)?,
        Format::Table => show(&mut out, &history, output::width())?,
    }
    let verified = history.verification.as_ref();
    let flawed = verified.is_some_and(|verified| !verified.flaws.is_empty());
    Ok(if flawed { Exit::Failed } else { Exit::Success })
}

fn show(out: &mut impl Write, history: &History, width: Option<u16>) -> io::Result<()> {
    if let Some(verification) = &history.verification {
        return verified(out, verification, width);
    }
    if history.entries.is_empty() {
        return writeln!(out, "No policy was ever applied.");
    }
    let mut table = Table::new([
        Column::Short("WHEN"),
        Column::Number("SERIAL"),
        Column::Short("EVENT"),
        Column::Short("BY"),
        Column::Long("WHY"),
    ]);
    for entry in &history.entries {
        table.row([
            Tone::Quiet.cell(when(&entry.time)),
            Tone::Strong.cell(entry.serial.to_string()),
            tone(entry.event).cell(entry.event.name()),
            Tone::Plain.cell(by(entry)),
            Tone::Plain.cell(why(entry)),
        ]);
    }
    out.write_all(table.render(width).as_bytes())
}

fn verified(out: &mut impl Write, found: &Verification, width: Option<u16>) -> io::Result<()> {
    for flaw in &found.flaws {
        let text = prose::indented(&prose::sentence(flaw), "", width);
        writeln!(out, "{}", Tone::Bad.paint(text))?;
    }
    let lines = usize::try_from(found.lines).unwrap_or(usize::MAX);
    writeln!(out, "{} as written", counted(lines, "entry"))?;
    match &found.head {
        Some(head) => writeln!(out, "{}", Tone::Quiet.paint(format!("sha256 {head}"))),
        None => Ok(()),
    }
}

/// A time (RFC 3339) as `2026-01-02 03:04:05Z`.
fn when(time: &str) -> String {
    time.replacen('T', " ", 1)
}

const fn tone(event: Event) -> Tone {
    match event {
        Event::Applied | Event::Confirmed => Tone::Good,
        Event::Tried | Event::Cancelled | Event::Found | Event::Closed => Tone::Plain,
        Event::Lapsed | Event::Opened => Tone::Warning,
    }
}

fn by(entry: &HistoryEntry) -> String {
    let Some(who) = &entry.who else {
        return "agent".to_owned();
    };
    let uid = who
        .uid
        .map_or_else(|| "?".to_owned(), |uid| format!("uid {uid}"));
    match (&who.peer, &who.terminal) {
        (Some(peer), _) => format!("{uid} from {}", peer.ip()),
        (None, Some(terminal)) => format!("{uid} on {terminal}"),
        (None, None) => uid,
    }
}

fn why(entry: &HistoryEntry) -> String {
    let within = entry.confirm_within_seconds;
    let within = within.map(|seconds| format!("to be confirmed within {seconds} s"));
    let restores = entry.restores;
    let restores = restores.map(|serial| format!("the text of serial {serial}"));
    let door = entry.door.as_deref();
    let door = door.map(|door| format!("break glass: {door}"));
    let parts = [door, entry.message.clone(), restores, within];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn shown(history: &History) -> String {
        let mut out = Vec::new();
        show(&mut out, history, Some(80)).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    fn entry(event: &str, more: &serde_json::Value) -> HistoryEntry {
        let mut entry = serde_json::json!({
            "number": 1, "time": "2026-01-02T03:04:05Z", "event": event, "serial": 42,
            "digest": "ab", "file": "p.yaml",
        });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn a_line_for_each_entry_fits_a_terminal() {
        let who = serde_json::json!({ "uid": 0, "pid": 7, "peer": "198.51.100.2:50022" });
        let history = History {
            entries: vec![
                entry(
                    "tried",
                    &serde_json::json!({
                        "who": who, "message": "a new bastion", "confirm_within_seconds": 300,
                    }),
                ),
                entry("lapsed", &serde_json::json!({})),
                entry(
                    "applied",
                    &serde_json::json!({
                        "who": { "uid": 0, "pid": 8, "terminal": "tty1" }, "restores": 41,
                    }),
                ),
            ],
            verification: None,
        };
        let text = shown(&history);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        for part in [
            "uid 0 from 198.51.100.2",
            "a new bastion",
            "agent",
            "uid 0 on tty1",
            "serial 41",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_verification_tells_what_is_wrong_or_the_last_hash() {
        let verification = |head: Option<&str>, flaws: &[&str]| History {
            entries: Vec::new(),
            verification: Some(Verification {
                lines: 3,
                head: head.map(Into::into),
                flaws: flaws.iter().map(ToString::to_string).collect(),
            }),
        };
        assert_eq!(
            shown(&verification(Some("ab"), &[])),
            "3 entries as written\nsha256 ab\n"
        );
        let flawed = shown(&verification(None, &["line 4: it was changed"]));
        assert_eq!(flawed, "Line 4: it was changed.\n3 entries as written\n");
    }
}
