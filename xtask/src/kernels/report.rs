//! What was found, as a table for people, as JSON, and as the page in the documentation.

use std::fmt::Write as _;

use console::{Style, style};
use serde::{Deserialize, Serialize};

/// How a capability was found.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It was seen working.
    Yes,
    /// It was seen working, at a cost that the product tells of.
    Limited,
    /// The kernel cannot, and the product says so.
    No,
    /// It should work, and does not.
    Failed,
}

impl Finding {
    const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Limited => "limited",
            Self::No => "no",
            Self::Failed => "FAILED",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Yes => Style::new().green(),
            Self::Limited | Self::No => Style::new().yellow(),
            Self::Failed => Style::new().red().bold(),
        }
    }
}

/// A capability of a kernel's.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Which.
    pub capability: String,
    /// How it was found.
    pub finding: Finding,
    /// What was seen.
    pub detail: String,
    /// How long that took.
    pub seconds: f64,
}

impl Row {
    /// The rows of a report, as far as it was written.
    pub fn read(text: &str) -> Vec<Self> {
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        complete
            .lines()
            .filter_map(|line| serde_json::from_str(line.trim()).ok())
            .collect()
    }

    /// Whether a report says that everything was looked at.
    pub fn is_done(text: &str) -> bool {
        text.lines().any(|line| line.trim() == r#"{"done":true}"#)
    }

    /// The row as a line on the terminal.
    pub fn show(&self) -> String {
        let word = style(self.finding.word()).for_stderr();
        let Self {
            capability,
            detail,
            seconds,
            ..
        } = self;
        format!("    {word:8} {capability} ({seconds:.0} s): {detail}")
    }
}

/// Everything about one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its version.
    pub version: String,
    /// Its full release.
    pub release: String,
    /// What was found.
    pub rows: Vec<Row>,
    /// Why not everything was looked at, if it was not.
    pub cut: Option<String>,
    /// The whole run.
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

/// The capabilities of all kernels, in the order in which they were looked at.
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
            let (word, colour) = column.row(name).map_or(("-", Style::new()), |row| {
                (row.finding.word(), row.finding.style())
            });
            let _ = write!(text, "  {}", colour.apply_to(format!("{word:8}")));
        }
        text.push('\n');
    }
    text
}

/// The page of the documentation.
pub fn page(columns: &[Column]) -> String {
    let mut text = String::from(
        "# Kernels\n\n\
         What manoward was seen doing in Debian's kernels. `cargo xtask kernels --write-docs` boots\n\
         each of them in an emulated machine and writes this page; nothing here is written by hand.\n\n\
         `yes`: seen working. `limited`: seen working, at a cost that `manoward status` tells of. `no`:\n\
         the kernel or the NIC cannot, and manoward says so. `FAILED`: it should work, and does not.\n\n",
    );
    text.push_str("| |");
    for column in columns {
        let _ = write!(text, " {} |", column.release);
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(columns.len()));
    text.push('\n');
    for name in capabilities(columns) {
        let _ = write!(text, "| {name} |");
        for column in columns {
            let cell = column.row(name).map_or("not looked at".to_owned(), |row| {
                format!("{}: {}", row.finding.word(), brief(&row.detail))
            });
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

/// What fits into a cell.
fn brief(detail: &str) -> String {
    let line = detail.lines().next().unwrap_or_default();
    line.replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "{\"capability\":\"bridge\",\"finding\":\"yes\",\"detail\":\"a|b\",\"seconds\":1.5}\r\n\
        {\"capability\":\"bond\",\"finding\":\"fai";

    fn column(version: &str, text: &str) -> Column {
        Column {
            version: version.to_owned(),
            release: version.to_owned(),
            rows: Row::read(text),
            cut: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn half_a_line_is_not_read() {
        let rows = Row::read(REPORT);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].finding, Finding::Yes);
        assert!(!Row::is_done(REPORT));
        assert!(Row::is_done("{\"done\":true}\r\n"));
    }

    #[test]
    fn a_kernel_holds_if_nothing_failed_and_everything_was_seen() {
        assert!(column("6.1", REPORT).holds());
        assert!(!column("6.1", "").holds(), "nothing was seen");
        assert!(!column("6.1", &REPORT.replace("yes", "failed")).holds());
        let cut = Column {
            cut: Some("hung".to_owned()),
            ..column("6.1", REPORT)
        };
        assert!(!cut.holds());
    }

    #[test]
    fn the_page_has_a_column_for_each_kernel() {
        let page = page(&[column("5.10", ""), column("6.1", REPORT)]);
        assert!(
            page.contains("| bridge | not looked at | yes: a/b |"),
            "{page}"
        );
    }
}
