//! Mistakes in a policy: what is wrong, where, and what to do about it.
//!
//! All mistakes of a file are reported at once, each with its position and a remedy: for a terminal
//! ([`miette`]), for a log ([`PolicyError::lines`]) and for programs (JSON).

use std::{collections::BTreeMap, fmt, ops::Range};

use miette::{Diagnostic, LabeledSpan, SourceCode};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use thiserror::Error;

use super::{excerpt::Excerpt, limits, positions::At};

/// One mistake.
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[error("{message}")]
pub struct Mistake {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Range of bytes in the text that the mistake concerns, counted from after a byte order mark.
    pub span: Range<usize>,
    /// What is wrong: a sentence without its first capital and its full stop.
    pub message: String,
    /// What to do about it: whole sentences.
    pub remedy: String,
}

impl Mistake {
    /// A mistake that is found only on a host, at the position `at` in `text`.
    #[must_use]
    pub fn on_host(text: &str, at: At, message: &str, remedy: &str) -> Self {
        Self {
            line: at.line,
            column: at.column,
            span: Excerpt::new("", text).bytes(at),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    /// The mistake in one line, as compilers write them: `file:line:column: message. remedy`.
    #[must_use]
    pub fn in_line(&self, file: &str) -> String {
        let Self {
            line,
            column,
            message,
            remedy,
            ..
        } = self;
        let text = format!("{file}:{line}:{column}: {message}. {remedy}");
        text.trim_end().to_owned()
    }
}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.remedy))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_primary_with_span(None, self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A policy that cannot be used, with its mistakes in the order of the file.
#[derive(Debug, Error)]
#[error("{}: {total} mistake{} in the policy", .source_text.file(), plural(*.total))]
pub struct PolicyError {
    mistakes: Vec<Mistake>,
    total: usize,
    source_text: Box<Excerpt>,
}

impl PolicyError {
    pub(super) fn new(file: &str, text: &str, found: Mistakes) -> Self {
        let source_text = Excerpt::new(file, text);
        let mistakes = found
            .first
            .into_iter()
            .map(|((at, _), (message, remedy))| Mistake {
                line: at.line,
                column: at.column,
                span: source_text.bytes(at),
                message,
                remedy,
            })
            .collect();
        Self {
            mistakes,
            total: found.total,
            source_text: Box::new(source_text),
        }
    }

    /// The first mistakes in the order of the file, at most [`limits::MISTAKES_SHOWN`].
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// How many mistakes there are beyond [`mistakes`](Self::mistakes).
    #[must_use]
    pub fn more(&self) -> usize {
        self.total - self.mistakes.len()
    }

    /// The file's name, as given to [`read`](super::read).
    #[must_use]
    pub fn file(&self) -> &str {
        self.source_text.file()
    }

    /// One line for each mistake: `file:line:column: message. remedy`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let file = self.file();
        let mistakes = self
            .mistakes
            .iter()
            .map(move |mistake| mistake.in_line(file));
        let more = self.more();
        let rest = (more > 0).then(|| format!("{file}: and {more} more mistake{}", plural(more)));
        mistakes.chain(rest)
    }
}

impl Diagnostic for PolicyError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let more = self.more();
        (more > 0).then(|| {
            Box::new(format!("{more} more mistakes are not shown.")) as Box<dyn fmt::Display>
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source_text.as_ref())
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let each = self
            .mistakes
            .iter()
            .map(|mistake| mistake as &dyn Diagnostic);
        Some(Box::new(each))
    }
}

impl Serialize for PolicyError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("PolicyError", 3)?;
        error.serialize_field("file", self.file())?;
        error.serialize_field("mistakes", &self.mistakes)?;
        error.serialize_field("more", &self.more())?;
        error.end()
    }
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Collects mistakes in any order and keeps the first ones of the file.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    first: BTreeMap<(At, usize), (String, String)>,
    total: usize,
}

impl Mistakes {
    /// Adds a mistake; `describe` gives message and remedy, and is called only if it is kept.
    pub(super) fn add(&mut self, at: At, describe: impl FnOnce() -> (String, String)) {
        let key = (at, self.total);
        self.total += 1;
        if self.first.len() >= limits::MISTAKES_SHOWN {
            if self
                .first
                .last_key_value()
                .is_some_and(|(last, _)| *last < key)
            {
                return;
            }
            self.first.pop_last();
        }
        self.first.insert(key, describe());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }
}
