//! Writes a merged policy as YAML, one value in a line, and notes where each was written.

use std::fmt::Write as _;

use super::{
    Origin, Sources,
    tree::{Key, Tree, Value},
};

/// Levels whose keys are annotated: fields of the policy, and entries with names.
const ANNOTATED: usize = 2;

/// The text of `tree`, and where its parts were written; with `sources` also in comments.
pub(super) fn text(tree: &Tree, sources: Option<&Sources>) -> (String, Vec<Origin>) {
    let mut writer = Writer {
        text: String::new(),
        line_start: 0,
        line: 1,
        origins: Vec::new(),
        sources,
        comment: None,
    };
    writer.value(tree, 0, true);
    (writer.text, writer.origins)
}

struct Writer<'a> {
    text: String,
    /// Where the line begins, in bytes.
    line_start: usize,
    line: u32,
    origins: Vec<Origin>,
    sources: Option<&'a Sources>,
    /// What is written at the end of the line.
    comment: Option<String>,
}

impl Writer<'_> {
    fn note(&mut self, from: super::From) {
        let column = self.text[self.line_start..].chars().count() as u32 + 1;
        self.origins.push(Origin {
            effective: (self.line, column),
            from,
        });
    }

    fn end_line(&mut self) {
        if let Some(comment) = self.comment.take() {
            self.text.push_str("  # ");
            self.text.push_str(&comment);
        }
        self.text.push('\n');
        self.line_start = self.text.len();
        self.line += 1;
    }

    /// Writes what stands behind a `:` or `-`, or the whole policy.
    fn value(&mut self, tree: &Tree, depth: usize, whole: bool) {
        let separator = if whole { "" } else { " " };
        match &tree.value {
            Value::Scalar { text, plain } => {
                self.text.push_str(separator);
                self.note(tree.from);
                self.text.push_str(&scalar(text, *plain));
                self.end_line();
            }
            Value::List(items) if items.is_empty() => self.empty(tree, "[]", separator),
            Value::Mapping(pairs) if pairs.is_empty() => self.empty(tree, "{}", separator),
            Value::List(items) => {
                self.below(tree, whole);
                for item in items {
                    self.indent(depth);
                    self.text.push('-');
                    self.value(item, depth + 1, false);
                }
            }
            Value::Mapping(pairs) => {
                self.below(tree, whole);
                for (key, value) in pairs {
                    self.indent(depth);
                    self.key(key, depth);
                    self.value(value, depth + 1, false);
                }
            }
        }
    }

    /// Ends the line, so that what `tree` holds begins in the next.
    fn below(&mut self, tree: &Tree, whole: bool) {
        if !whole {
            self.note(tree.from);
            self.end_line();
        }
    }

    fn empty(&mut self, tree: &Tree, text: &str, separator: &str) {
        self.text.push_str(separator);
        self.note(tree.from);
        self.text.push_str(text);
        self.end_line();
    }

    fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
    }

    fn key(&mut self, key: &Key, depth: usize) {
        self.note(key.from);
        self.text.push_str(&scalar(&key.text, true));
        self.text.push(':');
        if depth < ANNOTATED
            && let Some(file) = self
                .sources
                .and_then(|sources| sources.files.get(usize::from(key.from.file)))
        {
            let mut comment = String::new();
            // A string can always be written to.
            let _ = write!(comment, "{}:{}", file.file(), key.from.at.line);
            self.comment = Some(comment);
        }
    }
}

/// A scalar that is read as it was.
fn scalar(text: &str, plain: bool) -> String {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"._/+-:".contains(&byte);
    let begins = |first: u8| first.is_ascii_alphanumeric() || b"._/".contains(&first);
    let is_simple =
        text.bytes().next().is_some_and(begins) && text.bytes().all(simple) && !text.ends_with(':');
    match (plain, text) {
        (true, "") => "~".to_owned(),
        (true, text) if is_simple || text == "~" => text.to_owned(),
        // What JSON writes in quotes, YAML reads as it was (YAML 1.2.2, section 1.3).
        (_, text) => serde_json::Value::from(text).to_string(),
    }
}
