//! Messages for text that is not YAML, or is YAML that a policy cannot use.
//!
//! The parser's own messages name its internal state; a person needs to read what is wrong in the
//! text, such as the indentation.

use saphyr_parser::{ScanError, Tag};

use super::positions::At;

/// Text that is not YAML; nothing after it can be read.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) at: At,
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Broken {
    fn new(at: At, (message, remedy): (&str, &str)) -> Self {
        Self {
            at,
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

const TAB: &str = "tab";

/// A fragment of the parser's message, and the message and remedy that replace it.
const EXPLANATIONS: &[(&str, (&str, &str))] = &[
    (
        TAB,
        (
            "a tab stands where only spaces may indent",
            "Indent with spaces; most editors convert tabs on request.",
        ),
    ),
    (
        "flow sequence",
        (
            "the list that `[` opened is not continued or closed here",
            "Separate its items with `,` and close it with `]`; \
             an item that ends in `:` needs quotes.",
        ),
    ),
    (
        "flow mapping",
        (
            "the mapping that `{` opened is not continued or closed here",
            "Separate its fields with `,` and close it with `}`.",
        ),
    ),
    (
        "indentation in flow",
        (
            "this line is indented too little for what `[` or `{` opened",
            "Indent it further, or close the bracket before it.",
        ),
    ),
    (
        "misplaced bracket",
        (
            "this bracket closes nothing, or not what was opened last",
            "Remove it, or open its counterpart.",
        ),
    ),
    (
        "quoted scalar, found unexpected end",
        (
            "a quotation mark is opened and never closed",
            "Close it at the end of the text that it quotes.",
        ),
    ),
    (
        "after double-quoted",
        (
            "text follows a closing quotation mark",
            "End the line there, or put all of the text into the quotes.",
        ),
    ),
    (
        "escape",
        (
            "a backslash in double quotes begins no known escape",
            "Write `\\\\` for a backslash, or use single quotes.",
        ),
    ),
    (
        "unknown anchor",
        (
            "an alias (`*`) names an anchor that does not exist",
            "Write the value itself; a policy does not use aliases.",
        ),
    ),
    (
        "mapping values are not allowed",
        (
            "a `:` stands where no field can begin",
            "Check the indentation of this line and of the one before; \
             text that contains `: ` needs quotes.",
        ),
    ),
    (
        "illegal placement",
        (
            "a `:` stands where no field can begin",
            "Check whether a `[`, `{` or quotation mark before it is still open.",
        ),
    ),
    (
        "simple key",
        (
            "this line has no `:` after its field, or is indented wrongly",
            "Write `field: value`, indented like its neighbours.",
        ),
    ),
    (
        "expected key",
        (
            "this line does not align with the fields before it",
            "Indent it exactly like the other fields of its mapping.",
        ),
    ),
    (
        "expected '-'",
        (
            "this line does not align with the list before it",
            "Begin it with `- `, indented like the other items of the list.",
        ),
    ),
    (
        "block sequence entries",
        (
            "a list item (`- `) stands where no list can begin",
            "Begin the list on a line of its own, below its field.",
        ),
    ),
    (
        "valid inside a block",
        (
            "a list item (`- `) stands inside `[` or `{`",
            "Separate items there with `,`.",
        ),
    ),
    (
        "invalid indentation",
        (
            "this line is indented in a way that fits nothing before it",
            "Indent it like its neighbours.",
        ),
    ),
    (
        "expected node content",
        (
            "a value is expected here",
            "Write the value; text that begins with a special character needs quotes.",
        ),
    ),
    (
        "unexpected character",
        (
            "no value may begin with this character",
            "Put the value into quotes.",
        ),
    ),
    (
        "unprintable",
        (
            "there is a character that cannot be printed",
            "Remove it; the file must be UTF-8 text.",
        ),
    ),
    (
        "byte order mark",
        (
            "there is a byte order mark inside the file",
            "Remove it; it often comes from joining files.",
        ),
    ),
    (
        "recursion limit",
        ("lists and mappings are nested too deeply", NESTED),
    ),
];

const NESTED: &str = "A policy needs six levels at most; compare it with the example.";

/// Explains the parser's error in `text`.
pub(super) fn explain(error: &ScanError, text: &str) -> Broken {
    let marker = error.marker();
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let mut at = At {
        line: number(marker.line()).max(1),
        column: number(marker.col()).saturating_add(1),
        length: 1,
    };
    let known = EXPLANATIONS
        .iter()
        .find(|(fragment, _)| error.info().contains(fragment));
    let Some(&(fragment, sentence)) = known else {
        return Broken {
            at,
            message: format!("this is not valid YAML: {}", error.info()),
            remedy: "Check this line and the one before.".to_owned(),
        };
    };
    if fragment == TAB {
        at = indenting_tab(text, at).unwrap_or(at);
    }
    Broken::new(at, sentence)
}

/// The first tab that indents a line at or after `from`, which is where the interrupted text
/// begins.
fn indenting_tab(text: &str, from: At) -> Option<At> {
    let lines = (1..).zip(text.lines()).skip(from.line as usize - 1);
    let mut tabs = lines.filter_map(|(line, text)| {
        let content = text.find(|letter: char| !matches!(letter, ' ' | '\t'))?;
        let column = text[..content].find('\t')? as u32 + 1;
        Some(At {
            line,
            column,
            length: 1,
        })
    });
    tabs.next()
}

pub(super) fn empty(at: At) -> Broken {
    let remedy = "Begin with `apiVersion: manoward/v1`; the documentation has an example.";
    Broken::new(at, ("there is nothing in the file", remedy))
}

pub(super) fn several(at: At) -> Broken {
    let remedy = "Keep one; `---` begins another.";
    Broken::new(
        at,
        ("there is more than one YAML document in the file", remedy),
    )
}

pub(super) fn too_deep(at: At) -> Broken {
    Broken::new(at, ("lists and mappings are nested too deeply", NESTED))
}

pub(super) fn alias() -> (String, String) {
    let message = "a YAML alias (`*`) is not accepted in a policy".to_owned();
    (message, "Write the value itself.".to_owned())
}

pub(super) fn tag(tag: &Tag) -> (String, String) {
    let handle = if tag.is_yaml_core_schema() {
        "!!"
    } else {
        &tag.handle
    };
    let message = format!(
        "the YAML tag `{handle}{}` is not accepted in a policy",
        tag.suffix
    );
    (
        message,
        "Remove it; the field decides what its value is.".to_owned(),
    )
}

pub(super) fn key_without_text() -> (String, String) {
    let message = "a list or mapping cannot be the name of a field".to_owned();
    (
        message,
        "Write the name, then `:`, then the value.".to_owned(),
    )
}

pub(super) fn duplicate(key: &str, line: u32) -> (String, String) {
    let message = format!("`{key}` is written twice in one mapping, first in line {line}");
    (message, "Keep one of them.".to_owned())
}
