//! Damaged files: whatever was typed, the reader answers, and points into the text.

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

use super::*;

/// Pieces that YAML or a policy treats specially.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ":",
    ": ",
    ",",
    "- ",
    "\n",
    "\n  ",
    "\t",
    "\r",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">",
    "?",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "~",
    "0",
    "-1",
    "1e9",
    "é",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "<<: ",
    "vim",
    "::",
    "/0",
    "10.0.0.0/8",
    "addresses: ",
    "ports: ",
    "from: ",
    "outbound: ",
    "flow_timeouts: ",
    "5d",
];

/// `SMALL` with some ranges of characters replaced by pieces.
fn damaged() -> impl Strategy<Value = String> {
    let edit = (0..SMALL.len(), 0..12usize, proptest::sample::select(PIECES));
    proptest::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut text = SMALL.to_owned();
        for (at, length, piece) in edits {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, piece);
        }
        text
    })
}

proptest! {
    #[test]
    fn every_text_is_read_or_refused_with_places(text in damaged()) {
        let Err(error) = read(&text, "policy.yaml") else {
            return Ok(());
        };
        prop_assert!(!error.mistakes().is_empty());
        let lines = text.split(['\n', '\r']).count();
        for mistake in error.mistakes() {
            prop_assert!(mistake.span.end <= text.len(), "{mistake:?}");
            prop_assert!(mistake.line as usize <= lines + 1, "{mistake:?}");
            prop_assert!(!mistake.message.is_empty() && !mistake.remedy.is_empty());
        }
        let mut printed = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
        prop_assert!(handler.render_report(&mut printed, &error).is_ok());
    }
}
