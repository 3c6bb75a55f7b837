//! The lines around a mistake, for [`miette`].
//!
//! A policy may have megabytes, and ten thousand addresses in one line: lines are found
//! through an index, and a long line is shown only around the mistake.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::positions::At;

/// Most bytes shown on either side of a mistake.
const AROUND_BYTES: usize = 100;

/// A policy's text with an index of its lines.
#[derive(Debug)]
pub(super) struct Excerpt {
    file: String,
    text: String,
    /// Where each line begins, in bytes; the first is 0.
    line_starts: Vec<usize>,
}

impl Excerpt {
    pub(super) fn new(file: &str, text: &str) -> Self {
        let bytes = text.as_bytes();
        let after_break = bytes.iter().enumerate().filter_map(|(index, &byte)| {
            let ends_line = byte == b'\n' || byte == b'\r' && bytes.get(index + 1) != Some(&b'\n');
            ends_line.then_some(index + 1)
        });
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            line_starts: std::iter::once(0).chain(after_break).collect(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The bytes at `at`, cut at the end of its line.
    pub(super) fn bytes(&self, at: At) -> Range<usize> {
        let Some(line) = self.line(at.line.saturating_sub(1) as usize) else {
            return self.text.len()..self.text.len();
        };
        let text = &self.text[line.clone()];
        let before = at.column.saturating_sub(1) as usize;
        let mut offsets = text.char_indices().map(|(index, _)| index).skip(before);
        let start = offsets.next().unwrap_or(text.len());
        let end = match at.length {
            0 => start,
            1 => offsets.next().unwrap_or(text.len()),
            length => offsets.nth(length as usize - 1).unwrap_or(text.len()),
        };
        line.start + start..line.start + end
    }

    /// The bytes of a line (from 0) without its line break.
    fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.line_starts.get(line)?;
        let end = self
            .line_starts
            .get(line + 1)
            .copied()
            .unwrap_or(self.text.len());
        let trimmed = self.text[start..end].trim_end_matches(['\r', '\n']);
        Some(start..start + trimmed.len())
    }

    /// Where an excerpt begins that shows `lines_before` lines before `offset`.
    fn start(&self, offset: usize, line: usize, lines_before: usize) -> usize {
        let first = self.line_starts[line.saturating_sub(lines_before)];
        let own = self.line_starts[line];
        match offset - first {
            0..AROUND_BYTES => first,
            _ if offset - own < AROUND_BYTES => own,
            _ => self.text.ceil_char_boundary(offset - AROUND_BYTES),
        }
    }

    /// Where an excerpt ends that shows `lines_after` lines after `end`.
    fn end(&self, end: usize, lines_after: usize) -> usize {
        let line = self.line_of(end);
        let last = line
            .saturating_add(lines_after)
            .min(self.line_starts.len() - 1);
        let whole = self.line(last).map_or(self.text.len(), |line| line.end);
        let own = self.line(line).map_or(self.text.len(), |line| line.end);
        match whole.saturating_sub(end) {
            0..AROUND_BYTES => whole.max(end),
            _ if own.saturating_sub(end) < AROUND_BYTES => own.max(end),
            _ => self.text.floor_char_boundary(end + AROUND_BYTES),
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset) - 1
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (offset, end) = (span.offset(), span.offset() + span.len());
        if end > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let line = self.line_of(offset);
        // Without context the contents begin at the span itself; miette takes the line and the
        // column that it prints in the header from there.
        let (start, end) = if lines_before == 0 && lines_after == 0 {
            (offset, end)
        } else {
            (
                self.start(offset, line, lines_before),
                self.end(end, lines_after),
            )
        };
        let first = self.line_of(start);
        let column = self.text[self.line_starts[first]..start].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.clone(),
            &self.text.as_bytes()[start..end],
            (start, end - start).into(),
            first,
            column,
            self.line_of(end) - first + 1,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, length: u32) -> At {
        At {
            line,
            column,
            length,
        }
    }

    #[test]
    fn columns_count_characters_and_every_kind_of_line_break() {
        let excerpt = Excerpt::new("f", "ä: b\r\nöü: x\rlast: y\n");
        assert_eq!(&excerpt.text[excerpt.bytes(at(1, 1, 1))], "ä");
        assert_eq!(&excerpt.text[excerpt.bytes(at(2, 5, 1))], "x");
        assert_eq!(&excerpt.text[excerpt.bytes(at(2, 1, 2))], "öü");
        assert_eq!(&excerpt.text[excerpt.bytes(at(3, 1, 99))], "last: y");
        assert!(excerpt.bytes(at(9, 1, 1)).is_empty());
    }

    #[test]
    fn long_lines_are_cut_around_the_mistake() {
        let text = format!("a: [{}]\nb: c\n", "1, ".repeat(10_000));
        let excerpt = Excerpt::new("f", &text);
        let contents = excerpt.read_span(&(9_000, 1).into(), 1, 1).unwrap();
        assert!(contents.data().len() <= 2 * AROUND_BYTES + 1);
        assert_eq!(contents.line(), 0);
        assert_eq!(contents.column(), 9_000 - AROUND_BYTES);
    }

    #[test]
    fn short_lines_are_shown_with_their_neighbours() {
        let excerpt = Excerpt::new("f", "one\ntwo\nthree\nfour\n");
        let contents = excerpt.read_span(&(4, 3).into(), 1, 1).unwrap();
        assert_eq!(contents.data(), b"one\ntwo\nthree");
    }
}
