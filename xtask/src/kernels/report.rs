//! The findings, as a table for people, as JSON, and as a page of the documentation.

use std::fmt::Write as _;

use console::{Style, style};
use manoward_guest_report::{Finding, Row};
use serde::Serialize;

/// The word for a finding.
const fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Yes => "yes",
        Finding::Limited => "limited",
        Finding::No => "no",
        Finding::Failed => "FAILED",
    }
}

const fn colour(finding: Finding) -> Style {
    match finding {
        Finding::Yes => Style::new().green(),
        Finding::Limited | Finding::No => Style::new().yellow(),
        Finding::Failed => Style::new().red().bold(),
    }
}

/// A row as a line on the terminal.
pub fn line(row: &Row) -> String {
    let word = style(word(row.finding)).for_stderr();
    let Row {
        capability,
        detail,
        seconds,
        ..
    } = row;
    format!("    {word:8} {capability} ({seconds:.0} s): {detail}")
}

/// Everything about one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its version.
    pub version: String,
    /// Its full release.
    pub release: String,
    /// The findings.
    pub rows: Vec<Row>,
    /// Why the run is incomplete, if it is.
    pub cut: Option<String>,
    /// Time of the whole run, seconds.
    pub seconds: f64,
}

impl Column {
    /// Whether everything that should hold does.
    pub fn holds(&self) -> bool {
        self.cut.is_none()
            && !self.rows.is_empty()
            && self.rows.iter().all(|row| row.finding != Finding::Failed)
    }

    fn row(&self, capability: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.capability == capability)
    }
}

/// The capabilities of all kernels, in the order in which they were tested.
fn capabilities(columns: &[Column]) -> Vec<&str> {
    let mut names = Vec::new();
    for row in columns.iter().flat_map(|column| &column.rows) {
        if !names.contains(&row.capability.as_str()) {
            names.push(row.capability.as_str());
        }
    }
    names
}

/// The table in the terminal.
pub fn table(columns: &[Column]) -> String {
    let names = capabilities(columns);
    let width = names
        .iter()
        .map(|name| name.len())
        .max()
        .unwrap_or_default();
    let mut text = format!("\n{:width$}", "");
    for column in columns {
        let _ = write!(text, "  {:8}", column.version);
    }
    text.push('\n');
    for name in names {
        let _ = write!(text, "{name:width$}");
        for column in columns {
            let (found, style) = column.row(name).map_or(("-", Style::new()), |row| {
                (word(row.finding), colour(row.finding))
            });
            let _ = write!(text, "  {}", style.apply_to(format!("{found:8}")));
        }
        text.push('\n');
    }
    text
}

/// The page of the documentation.
pub fn page(columns: &[Column]) -> String {
    let mut text = String::from(HEAD);
    text.push_str("| |");
    for column in columns {
        let _ = write!(text, " {} |", column.release);
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(columns.len()));
    text.push('\n');
    let mut notes = Notes::default();
    for name in capabilities(columns) {
        let _ = write!(text, "| {name} |");
        for column in columns {
            let cell = column.row(name).map(|row| cell(row, &mut notes));
            let _ = write!(text, " {} |", cell.unwrap_or("not looked at".to_owned()));
        }
        text.push('\n');
    }
    for (number, note) in (1..).zip(notes.0) {
        let _ = write!(text, "\n{number}. {note}");
    }
    text.push('\n');
    text
}

const HEAD: &str = "\
# Kernels

What manoward was seen doing in Debian's kernels. `cargo xtask kernels --write-docs` boots each of
them in an emulated machine and writes this page; nothing here is written by hand.

A machine has one processor and two network namespaces, the host and its peer, each with two NICs of
the type virtio and an e1000e. The peer has the addresses of the VIM and of an intruder. Where the
agent is attached, `yes` means that the VIM gets in and the intruder does not, and that the host
reaches the VIM and not the intruder; the intruder does get in as long as the policy only audits.
Where a program is accepted, the verifier reports how many instructions it followed and how much
stack the deepest chain of calls takes; more than the [budget](architecture.md#budget) is a failure.
Decisions are tested by the suites `datapath` and, with a tenth of its frames,
`differential`.

`yes`: it works. `limited`: it works with a limitation that `manoward status` reports. `no`: the
kernel or the NIC cannot do it, and manoward reports that. `FAILED`: it should work, and does not.

";

/// Footnotes, each once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    /// The number of the footnote with this text.
    fn number(&mut self, text: String) -> usize {
        if let Some(there) = self.0.iter().position(|note| *note == text) {
            return there + 1;
        }
        self.0.push(text);
        self.0.len()
    }
}

/// A cell, with its details if the capability works; other details go into a footnote.
fn cell(row: &Row, notes: &mut Notes) -> String {
    let word = word(row.finding);
    let detail = row.detail.split_whitespace().collect::<Vec<_>>().join(" ");
    if row.finding == Finding::Yes {
        format!("{word}: {}", detail.replace('|', "/"))
    } else {
        format!("{word}<sup>{}</sup>", notes.number(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(finding: Finding, detail: &str) -> Row {
        Row {
            capability: "bridge".to_owned(),
            finding,
            detail: detail.to_owned(),
            seconds: 1.5,
            cost: None,
        }
    }

    fn column(rows: Vec<Row>) -> Column {
        Column {
            version: "6.1".to_owned(),
            release: "6.1".to_owned(),
            rows,
            cut: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_kernel_holds_if_nothing_failed_and_everything_was_seen() {
        assert!(column(vec![row(Finding::No, "")]).holds());
        assert!(!column(Vec::new()).holds(), "nothing was seen");
        assert!(!column(vec![row(Finding::Failed, "")]).holds());
        let cut = Column {
            cut: Some("hung".to_owned()),
            ..column(vec![row(Finding::Yes, "")])
        };
        assert!(!cut.holds());
    }

    #[test]
    fn the_page_has_a_column_for_each_kernel_and_every_reason_once() {
        let limited = || column(vec![row(Finding::Limited, "no\nnative XDP")]);
        let page = page(&[
            column(Vec::new()),
            column(vec![row(Finding::Yes, "a|b")]),
            limited(),
            limited(),
        ]);
        let expected = "| bridge | not looked at | yes: a/b | limited<sup>1</sup> | limited<sup>1</sup> |\n\
            \n1. no native XDP\n";
        assert!(page.ends_with(expected), "{page}");
    }
}
