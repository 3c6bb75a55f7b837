//! Names and words from a fixed choice.

use crate::policy::{
    limits,
    mistake::Mistakes,
    raw::{Located, Text},
    suggest,
};

/// Words and what they mean.
pub(super) type Choices<T> = &'static [(&'static str, T)];

/// Reports a name that is too long, empty, or has characters that are not allowed.
pub(super) fn check(text: &Text, what: &str, mistakes: &mut Mistakes) {
    let name = &*text.what;
    if name.len() > limits::NAME_BYTES {
        mistakes.add(text.at, || {
            let message = format!("the name of this {what} is {} bytes long", name.len());
            (
                message,
                format!("Choose one of at most {} bytes.", limits::NAME_BYTES),
            )
        });
    } else if !is_plain(name) {
        mistakes.add(text.at, || {
            let article = if what.starts_with('e') { "an" } else { "a" };
            let message = format!("`{name}` cannot be the name of {article} {what}");
            (
                message,
                "Use letters and digits of ASCII, `.`, `_` and `-`.".to_owned(),
            )
        });
    }
}

/// Reports what Linux does not accept as the name of an interface, but for `*`, which stands for any part of
/// one.
pub(super) fn check_interface(text: &Text, mistakes: &mut Mistakes) {
    let name = &*text.what;
    let fits = name.len() <= limits::INTERFACE_NAME_BYTES;
    let plain = is_plain(&name.replace('*', "x"));
    if !fits || !plain || matches!(name, "." | "..") {
        mistakes.add(text.at, || {
            let message = format!("`{name}` cannot be the name of an interface");
            let remedy = format!(
                "Linux takes at most {} bytes; use letters and digits of ASCII, `.`, `_` and \
                 `-`, and `*` for any part of a name.",
                limits::INTERFACE_NAME_BYTES
            );
            (message, remedy)
        });
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.bytes().all(plain)
}

/// The value of a word in `choices`; any other word is a mistake.
pub(super) fn choice<T: Copy>(
    text: Option<&Text>,
    field: &str,
    choices: Choices<T>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let Located { what: word, at } = text?;
    let known = choices.iter().find(|(name, _)| **name == **word);
    if known.is_none() {
        mistakes.add(*at, || {
            let words: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
            let otherwise = format!("Write one of `{}`.", words.join("`, `"));
            (
                format!("`{word}` is not a value of `{field}`"),
                suggest::remedy(word, words, &otherwise),
            )
        });
    }
    known.map(|&(_, value)| value)
}
