//! Wrapping of sentences.

use textwrap::{Options, WordSplitter};

/// `text` in lines of at most `width` columns (`None`: no limit), each after `indent`.
pub fn indented(text: &str, indent: &str, width: Option<u16>) -> String {
    let width = width.map_or(usize::MAX, usize::from);
    let options = Options::new(width)
        .initial_indent(indent)
        .subsequent_indent(indent)
        // Names and addresses are searched for and copied.
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// `text` with a first capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    let stop = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!(
        "{}{}{stop}",
        first.into_iter().flatten().collect::<String>(),
        characters.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_one_piece() {
        let text = indented("see the reference point migration-out", "  ", Some(16));
        assert_eq!(text, "  see the\n  reference\n  point\n  migration-out");
    }

    #[test]
    fn without_a_limit_it_is_one_line() {
        let text = "word ".repeat(200);
        assert_eq!(indented(&text, " ", None).lines().count(), 1);
    }

    #[test]
    fn sentences_begin_and_end() {
        assert_eq!(sentence("it is so"), "It is so.");
        assert_eq!(sentence("It is."), "It is.");
        assert_eq!(sentence(""), ".");
    }
}
