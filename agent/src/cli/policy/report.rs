//! What is wrong with a policy, shown: on a terminal each mistake in its lines of the file, and
//! elsewhere a line for each, as compilers write them and editors read them.

use std::io::{self, Write};

use manoward::{
    control::api::{Candidate, Failure, Report},
    policy::{self, Lint, Mistake},
};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceCode};
use thiserror::Error;

use crate::cli::{output, prose, quantity::counted, tone::Tone};

/// How wide, and for whom.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// For a person, in lines of at most this many columns.
    Drawn(u16),
    /// One line for each mistake.
    Lines,
}

impl Look {
    /// How standard output wants it.
    pub fn of_stdout() -> Self {
        output::text_width().map_or(Self::Lines, Self::Drawn)
    }

    /// How standard error wants it.
    pub fn of_stderr() -> Self {
        output::stderr_width().map_or(Self::Lines, Self::Drawn)
    }
}

/// Mistakes that the agent found in a policy that this process cannot read more into.
#[derive(Debug, Error)]
#[error("{file}: {}", counted(.report.mistake_count, "mistake"))]
struct Reported<'a> {
    file: &'a str,
    report: &'a Report,
    text: NamedSource<String>,
}

impl Diagnostic for Reported<'_> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let each = self.report.mistakes.iter();
        Some(Box::new(each.map(|mistake| mistake as &dyn Diagnostic)))
    }
}

/// Shows the mistakes of an invalid `candidate`.
pub fn mistakes(
    out: &mut impl Write,
    candidate: &Candidate,
    report: &Report,
    look: Look,
) -> io::Result<()> {
    let Look::Drawn(width) = look else {
        return lines(out, &candidate.file, report);
    };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_width(width.into())
        .without_cause_chain();
    let mut drawn = String::new();
    // What is wrong with the text itself is shown best by who read it; see policy::excerpt.
    let result = if let Err(error) = policy::read(&candidate.text, &candidate.file) {
        handler.render_report(&mut drawn, &error)
    } else {
        let text = NamedSource::new(&candidate.file, candidate.text.clone());
        let file = &candidate.file;
        handler.render_report(&mut drawn, &Reported { file, report, text })
    };
    match result {
        Ok(()) => out.write_all(drawn.as_bytes()),
        Err(_) => lines(out, &candidate.file, report),
    }
}

/// Shows the mistakes that a failed request tells of; `None` if it tells of none.
pub fn of_failure(candidate: &Candidate, failure: &Failure) -> Option<io::Result<()>> {
    let report = failure.report.as_ref()?;
    let mut err = output::stderr();
    Some(mistakes(&mut err, candidate, report, Look::of_stderr()))
}

/// Shows what is valid, but hardly meant.
pub fn lints(out: &mut impl Write, file: &str, lints: &[Lint], look: Look) -> io::Result<()> {
    for lint in lints {
        let place = match (lint.line, lint.column) {
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
            writeln!(out, "{place}: warning[{code}]: {message}. {remedy}")?;
            continue;
        };
        let remark = prose::indented(&prose::sentence(message), "  ", Some(width));
        let remedy = prose::indented(remedy, "  ", Some(width));
        writeln!(
            out,
            "{} {} {}\n{remark}\n{}\n",
            Tone::Warning.paint("warning:"),
            Tone::Strong.paint(code),
            Tone::Quiet.paint(place),
            Tone::Quiet.paint(remedy),
        )?;
    }
    Ok(())
}

fn lines(out: &mut impl Write, file: &str, report: &Report) -> io::Result<()> {
    for mistake in &report.mistakes {
        let Mistake {
            line,
            column,
            message,
            remedy,
            ..
        } = mistake;
        let line = format!("{file}:{line}:{column}: {message}. {remedy}");
        writeln!(out, "{}", line.trim_end())?;
    }
    let more = report.mistake_count.saturating_sub(report.mistakes.len());
    if more > 0 {
        writeln!(out, "{file}: and {}", counted(more, "more mistake"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
