//! What the first process of an emulated machine reports to `cargo xtask kernels`: a line of JSON
//! for each capability, and one at the end.
//!
//! Both ends share this crate: the guest embeds what xtask builds, so xtask cannot depend on the
//! guest.

pub mod budget;

use serde::{Deserialize, Serialize};

use budget::Cost;

/// Whether a capability works.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It works.
    Yes,
    /// It works with a limitation, which the product reports.
    Limited,
    /// The kernel cannot do it, and the product reports that.
    No,
    /// It should work, and does not.
    Failed,
}

/// A capability of a kernel.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub capability: String,
    /// Whether it works.
    pub finding: Finding,
    /// What was seen.
    pub detail: String,
    /// How long the test took.
    pub seconds: f64,
    /// What a program costs the verifier, where a program was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// A line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A capability was tested.
    Row(Row),
    /// All capabilities were tested.
    Done,
}

impl Line {
    /// The line as it is sent, without its end.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON.
    pub fn write(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The complete lines of a report. Text of others is skipped.
    pub fn read(text: &str) -> impl Iterator<Item = Self> {
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        // A serial line ends its lines with a carriage return, too.
        complete
            .lines()
            .filter_map(|line| serde_json::from_str(line.trim()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Line {
        Line::Row(Row {
            capability: "bridge".to_owned(),
            finding: Finding::Limited,
            detail: "a|b\nc".to_owned(),
            seconds: 1.5,
            cost: None,
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let lines = [row(), Line::Done];
        let text: Vec<String> = lines.iter().map(|line| line.write().unwrap()).collect();
        let text = text.join("\r\n") + "\r\n";
        assert_eq!(Line::read(&text).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn half_a_line_is_not_read() {
        let text = row().write().unwrap();
        assert_eq!(Line::read(&text).count(), 0);
        assert_eq!(Line::read(&format!("{text}\n{text}")).count(), 1);
    }
}
