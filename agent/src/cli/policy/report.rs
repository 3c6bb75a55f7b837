//! Display of a policy's mistakes and remarks: on a terminal with the lines of the file that they
//! are in, elsewhere one line for each, which editors can parse: `file:line:column: ...`.

use std::{
    fs,
    io::{self, Write},
};

use manoward::policy;
use manoward_api::{Lint, Mistake, Report};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceCode};
use thiserror::Error;

use super::file::Given;
use crate::cli::{output, prose, quantity::counted, tone::Tone};

/// The layout of a report.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// For a terminal, in lines of at most this many columns.
    Drawn(u16),
    /// One line for each mistake.
    Lines,
}

impl Look {
    /// The layout for standard output.
    pub fn of_stdout() -> Self {
        output::text_width().map_or(Self::Lines, Self::Drawn)
    }

    /// The layout for standard error.
    pub fn of_stderr() -> Self {
        output::stderr_width().map_or(Self::Lines, Self::Drawn)
    }
}

/// Mistakes that only the agent finds: reading the file here finds none.
#[derive(Debug, Error)]
#[error("{file}: {} in the policy", counted(.mistakes.len(), "mistake"))]
struct Reported<'a> {
    file: &'a str,
    mistakes: &'a [policy::Mistake],
    text: NamedSource<String>,
}

impl Diagnostic for Reported<'_> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let each = self.mistakes.iter();
        Some(Box::new(each.map(|mistake| mistake as &dyn Diagnostic)))
    }
}

/// Shows the mistakes of an invalid `candidate`.
pub fn mistakes(
    out: &mut impl Write,
    given: &Given,
    report: &Report,
    look: Look,
) -> io::Result<()> {
    let candidate = &given.candidate;
    let Look::Drawn(width) = look else {
        return lines(out, &candidate.file, report);
    };
    if report.mistakes.iter().any(|mistake| mistake.file.is_some()) {
        return of_files(out, report, width);
    }
    // Mistakes in the text are found again by reading it here, with their excerpts; see
    // policy::excerpt.
    if let Err(error) = policy::read(&candidate.text, &candidate.file) {
        return writeln!(out, "{}", drawn(&error, width));
    }
    // A mistake that concerns the whole file has no position.
    let (located, whole): (Vec<_>, Vec<_>) = report
        .mistakes
        .iter()
        .partition(|mistake| !mistake.span.is_empty());
    let file = &candidate.file;
    for Mistake {
        message, remedy, ..
    } in whole
    {
        let heading = format!("{} {}", Tone::Bad.paint("error:"), Tone::Quiet.paint(file));
        block(out, &heading, message, remedy, width)?;
    }
    if located.is_empty() {
        return Ok(());
    }
    let located: Vec<policy::Mistake> = located.into_iter().cloned().map(Into::into).collect();
    let reported = Reported {
        file,
        mistakes: &located,
        text: NamedSource::new(file, candidate.text.clone()),
    };
    writeln!(out, "{}", drawn(&reported, width))
}

/// Shows mistakes that lie in several files, each with its lines.
fn of_files(out: &mut impl Write, report: &Report, width: u16) -> io::Result<()> {
    let mut files: Vec<&str> = Vec::new();
    for file in report
        .mistakes
        .iter()
        .filter_map(|mistake| mistake.file.as_deref())
    {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    for file in files {
        let of_file = report
            .mistakes
            .iter()
            .filter(|mistake| mistake.file.as_deref() == Some(file));
        let mistakes: Vec<policy::Mistake> = of_file.cloned().map(Into::into).collect();
        let text = fs::read_to_string(file).unwrap_or_default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let reported = Reported {
            file,
            mistakes: &mistakes,
            text: NamedSource::new(file, text),
        };
        writeln!(out, "{}", drawn(&reported, width))?;
    }
    Ok(())
}

/// Mistakes with the lines of the file that they are in.
fn drawn(error: &dyn Diagnostic, width: u16) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_width(width.into())
        .without_cause_chain();
    let mut drawn = String::new();
    handler
        .render_report(&mut drawn, error)
        .expect("a string can always be written to");
    drawn
}

/// Shows the remarks on a policy.
pub fn lints(out: &mut impl Write, file: &str, lints: &[Lint], look: Look) -> io::Result<()> {
    for lint in lints {
        let file = lint.file.as_deref().unwrap_or(file);
        let position = match (lint.line, lint.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            _ => file.to_owned(),
        };
        let Lint {
            code,
            message,
            remedy,
            ..
        } = lint;
        let Look::Drawn(width) = look else {
            writeln!(out, "{position}: warning[{code}]: {message}. {remedy}")?;
            continue;
        };
        let heading = format!(
            "{} {} {}",
            Tone::Warning.paint("warning:"),
            Tone::Strong.paint(code),
            Tone::Quiet.paint(position),
        );
        block(out, &heading, message, remedy, width)?;
    }
    Ok(())
}

/// A message and its remedy under a heading.
fn block(
    out: &mut impl Write,
    heading: &str,
    message: &str,
    remedy: &str,
    width: u16,
) -> io::Result<()> {
    let message = prose::indented(&prose::sentence(message), "  ", Some(width));
    writeln!(out, "{heading}\n{message}")?;
    if !remedy.is_empty() {
        let remedy = prose::indented(&prose::sentence(remedy), "  ", Some(width));
        writeln!(out, "{}", Tone::Quiet.paint(remedy))?;
    }
    writeln!(out)
}

fn lines(out: &mut impl Write, file: &str, report: &Report) -> io::Result<()> {
    for mistake in &report.mistakes {
        let file = mistake.file.as_deref().unwrap_or(file);
        let mistake = policy::Mistake::from(mistake.clone());
        writeln!(out, "{}", mistake.in_line(file))?;
    }
    let more = report.mistake_count.saturating_sub(report.mistakes.len());
    if more > 0 {
        writeln!(out, "{file}: and {}", counted(more, "more mistake"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
