//! Parses YAML text into a tree with positions.
//!
//! The tree has its own type because a policy may have a million addresses: a scalar takes 12 bytes
//! for its position, and nothing is stored that a policy cannot contain.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{
    mistake::Mistakes,
    positions::At,
    raw::Text,
    syntax::{self, Broken},
};

/// Most levels of lists and mappings; a policy needs six.
const DEPTH: u32 = 32;
/// Mappings with more keys than this are searched for duplicates through an index.
const FEW_KEYS: usize = 16;

/// A value and its position; that of a list or mapping is where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    /// A scalar; `plain` if it is written without quotes.
    Scalar { text: Box<str>, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file, without duplicate keys.
    Mapping(Vec<(Text, Node)>),
    /// A value whose mistake was reported already.
    Unusable,
}

/// Reads the only document of `text`. Duplicate keys, aliases and tags are added to `mistakes`, and
/// the rest is read.
///
/// # Errors
///
/// [`Broken`] if `text` is not YAML.
pub(super) fn parse(text: &str, mistakes: &mut Mistakes) -> Result<Node, Broken> {
    let mut builder = Builder {
        text,
        events: Parser::new_from_str(text),
        mistakes,
    };
    builder.document()
}

/// Turns the parser's events into nodes.
struct Builder<'text, 'mistakes> {
    text: &'text str,
    events: Parser<'text, StrInput<'text>>,
    mistakes: &'mistakes mut Mistakes,
}

impl<'text> Builder<'text, '_> {
    fn document(&mut self) -> Result<Node, Broken> {
        let root = loop {
            match self.next()? {
                (Event::Nothing | Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, span) => return Err(syntax::empty(position(span))),
                (event, span) => break self.node(event, span, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => return Err(syntax::several(position(span))),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'text>, Span), Broken> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax::explain(&error, self.text)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: u32) -> Result<Node, Broken> {
        let at = position(span);
        if depth > DEPTH {
            return Err(syntax::too_deep(at));
        }
        let (tag, value) = match event {
            Event::Scalar(text, style, _, tag) => {
                let text = text.into_owned().into_boxed_str();
                let plain = style == ScalarStyle::Plain;
                (tag, Value::Scalar { text, plain })
            }
            Event::SequenceStart(_, tag) => (tag, self.list(depth)?),
            Event::MappingStart(_, tag) => (tag, self.mapping(depth)?),
            _ => {
                self.mistakes.add(at, syntax::alias);
                (None, Value::Unusable)
            }
        };
        if let Some(tag) = tag {
            self.mistakes.add(at, || syntax::tag(&tag));
            return Ok(Node {
                at,
                value: Value::Unusable,
            });
        }
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: u32) -> Result<Value, Broken> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
        items.shrink_to_fit();
        Ok(Value::List(items))
    }

    fn mapping(&mut self, depth: u32) -> Result<Value, Broken> {
        let mut pairs = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => self.node(event, span, depth + 1)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match key.value {
                Value::Scalar { text, .. } => pairs.push((
                    Text {
                        what: text,
                        at: key.at,
                    },
                    value,
                )),
                Value::Unusable => {}
                _ => self.mistakes.add(key.at, syntax::key_without_text),
            }
        }
        Ok(Value::Mapping(without_duplicates(pairs, self.mistakes)))
    }
}

/// Keeps the first pair of each key.
fn without_duplicates(pairs: Vec<(Text, Node)>, mistakes: &mut Mistakes) -> Vec<(Text, Node)> {
    let repeated = if pairs.len() <= FEW_KEYS {
        let earlier = |index: usize| &pairs[..index];
        let indices = 0..pairs.len();
        let repeats = indices.filter_map(|index| {
            let key = &pairs[index].0;
            let first = earlier(index)
                .iter()
                .find(|(other, _)| other.what == key.what)?;
            Some((index, first.0.at.line))
        });
        repeats.collect::<Vec<_>>()
    } else {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&index| &pairs[index].0.what);
        let same = order.chunk_by(|&a, &b| pairs[a].0.what == pairs[b].0.what);
        let repeats = same.flat_map(|same| {
            same[1..]
                .iter()
                .map(|&index| (index, pairs[same[0]].0.at.line))
        });
        repeats.collect()
    };
    if repeated.is_empty() {
        return pairs;
    }
    for &(index, line) in &repeated {
        let key = &pairs[index].0;
        mistakes.add(key.at, || syntax::duplicate(&key.what, line));
    }
    let dropped: std::collections::BTreeSet<usize> =
        repeated.into_iter().map(|(index, _)| index).collect();
    let kept = pairs.into_iter().enumerate();
    kept.filter(|(index, _)| !dropped.contains(index))
        .map(|(_, pair)| pair)
        .collect()
}

fn position(span: Span) -> At {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let one_line = span.start.line() == span.end.line();
    At {
        line: number(span.start.line()).max(1),
        column: number(span.start.col()).saturating_add(1),
        length: if one_line { number(span.len()) } else { 1 },
    }
}

/// The kind of a value by the YAML 1.2 core schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Nothing,
    Boolean,
    Integer,
    Fraction,
    Text,
    List,
    Mapping,
    /// Reported already.
    Unusable,
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        match &self.value {
            Value::Scalar { text, plain: true } => plain_kind(text),
            Value::Scalar { plain: false, .. } => Kind::Text,
            Value::List(_) => Kind::List,
            Value::Mapping(_) => Kind::Mapping,
            Value::Unusable => Kind::Unusable,
        }
    }
}

/// The core schema of YAML 1.2.2, section 10.3.2.
fn plain_kind(text: &str) -> Kind {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Nothing,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Boolean,
        _ if is_integer(digits) => Kind::Integer,
        ".nan" | ".NaN" | ".NAN" => Kind::Fraction,
        _ if matches!(digits, ".inf" | ".Inf" | ".INF") || is_fraction(digits) => Kind::Fraction,
        _ => Kind::Text,
    }
}

fn is_integer(digits: &str) -> bool {
    let all = |digits: &str, radix: u32| {
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    all(digits, 10)
        || digits.strip_prefix("0o").is_some_and(|octal| all(octal, 8))
        || digits.strip_prefix("0x").is_some_and(|hex| all(hex, 16))
}

fn is_fraction(digits: &str) -> bool {
    // Rust reads what YAML does, and also "inf" and "nan", which begin with no digit or dot.
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.parse::<f64>().is_ok()
}
