//! Where output goes, and in which form.

use std::io::{self, IsTerminal as _, StderrLock, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;

use super::{prose, tone::Tone};

/// Most columns of running text on a terminal; longer lines are hard to read.
pub const TEXT_WIDTH: u16 = 100;

/// The output format.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs, with exact numbers
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Applies the choice to everything written to [`stdout`] and [`stderr`].
    pub fn choose(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Standard output; colours are removed where they are not wanted.
pub fn stdout() -> AutoStream<StdoutLock<'static>> {
    AutoStream::auto(io::stdout().lock())
}

/// Standard error; colours are removed where they are not wanted.
pub fn stderr() -> AutoStream<StderrLock<'static>> {
    AutoStream::auto(io::stderr().lock())
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of the terminal; `None` where output goes elsewhere and lines need no limit.
pub fn width() -> Option<u16> {
    let (_, columns) = is_terminal().then(|| console::Term::stdout().size_checked())??;
    (columns > 0).then_some(columns)
}

/// Columns for sentences; `None` as in [`width`].
pub fn text_width() -> Option<u16> {
    width().map(|columns| columns.min(TEXT_WIDTH))
}

/// Columns for sentences on standard error; `None` where it is no terminal.
pub fn stderr_width() -> Option<u16> {
    let (_, columns) = console::Term::stderr().size_checked()?;
    Some(columns.min(TEXT_WIDTH))
}

/// Writes a remark to standard error: `error: ...`.
pub fn remark(tone: Tone, label: &str, text: &str) -> io::Result<()> {
    let label = format!("{label}:");
    let indent = " ".repeat(label.len() + 1);
    let text = prose::indented(text, &indent, stderr_width());
    writeln!(stderr(), "{} {}", tone.paint(label), text.trim_start())
}

/// Writes `value` as indented JSON.
pub fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Writes `value` as one line of JSON, for streams of values.
pub fn json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}
