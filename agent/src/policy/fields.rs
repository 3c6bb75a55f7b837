//! Reads the fields of one mapping: takes them by name, checks the kind of their values, and
//! reports missing and unknown fields.

use std::fmt;

use super::{
    mistake::Mistakes,
    positions::At,
    raw::{Located, Text, Texts},
    remedies::{LATER, example, listed, other_kind, scalars_wanted},
    suggest,
    yaml::{Kind, Node, Value},
};

/// What the fields belong to, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    Policy,
    Endpoint(&'a str),
    ReferencePoint(&'a str),
    Service(&'a str),
    BreakGlass,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("the policy"),
            Self::Endpoint(name) => write!(f, "endpoint `{name}`"),
            Self::ReferencePoint(name) => write!(f, "reference point `{name}`"),
            Self::Service(name) => write!(f, "service `{name}`"),
            Self::BreakGlass => f.write_str("`break_glass`"),
        }
    }
}

/// Kinds of scalar that a field takes.
pub(super) const TEXT: &[Kind] = &[Kind::Text];
pub(super) const NUMBER: &[Kind] = &[Kind::Integer];
pub(super) const BOOLEAN: &[Kind] = &[Kind::Boolean];
pub(super) const TEXT_OR_NUMBER: &[Kind] = &[Kind::Text, Kind::Integer];

/// The fields of one mapping that have not been taken yet.
pub(super) struct Fields<'a> {
    owner: Owner<'a>,
    known: &'static [&'static str],
    pairs: Vec<(Text, Node)>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping, and reports the fields of `required` that it lacks, at the position `at`.
    pub(super) fn open(
        node: Node,
        (owner, at): (Owner<'a>, At),
        (known, required): (&'static [&'static str], &[&str]),
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let pairs = mapping(node, owner, mistakes)?;
        for field in required {
            if !pairs.iter().any(|(key, _)| &*key.what == *field) {
                mistakes.add(at, || (format!("{owner} has no `{field}`"), example(field)));
            }
        }
        Some(Self {
            owner,
            known,
            pairs,
        })
    }

    /// Whether a field is present and not taken yet.
    pub(super) fn has(&self, field: &str) -> bool {
        self.pairs.iter().any(|(key, _)| &*key.what == field)
    }

    /// Takes a field's value, of any kind.
    pub(super) fn take(&mut self, field: &str) -> Option<Node> {
        debug_assert!(self.known.contains(&field), "{field} is not declared");
        let index = self.pairs.iter().position(|(key, _)| &*key.what == field)?;
        Some(self.pairs.swap_remove(index).1)
    }

    /// Takes a field that is one scalar of an accepted kind.
    pub(super) fn scalar(
        &mut self,
        field: &str,
        accepted: &[Kind],
        mistakes: &mut Mistakes,
    ) -> Option<Text> {
        let node = self.take(field)?;
        let kind = node.kind();
        let at = node.at;
        match node.value {
            Value::Scalar { text, .. } if accepted.contains(&kind) => {
                Some(Located { what: text, at })
            }
            value => {
                wrong_kind(at, mistakes, kind, || {
                    let wanted = scalars_wanted(accepted);
                    let message = format!(
                        "`{field}` of {} must be {wanted}, not {}",
                        self.owner,
                        kind.name()
                    );
                    (message, other_kind(field, kind, &value))
                });
                None
            }
        }
    }

    /// Takes a field that is a scalar of an accepted kind, or a list of such.
    pub(super) fn one_or_more(
        &mut self,
        field: &str,
        accepted: &[Kind],
        mistakes: &mut Mistakes,
    ) -> Option<Texts> {
        let node = self.take(field)?;
        if !matches!(node.value, Value::Scalar { .. }) {
            return self.list(field, node, accepted, mistakes);
        }
        let at = node.at;
        let item = self.item(field, node, accepted, mistakes)?;
        Some(Located {
            what: vec![item],
            at,
        })
    }

    /// Takes a field that is a list of scalars of an accepted kind.
    pub(super) fn scalars(
        &mut self,
        field: &str,
        accepted: &[Kind],
        mistakes: &mut Mistakes,
    ) -> Option<Texts> {
        let node = self.take(field)?;
        self.list(field, node, accepted, mistakes)
    }

    fn list(
        &self,
        field: &str,
        node: Node,
        accepted: &[Kind],
        mistakes: &mut Mistakes,
    ) -> Option<Texts> {
        let (at, kind) = (node.at, node.kind());
        let items = match node.value {
            Value::List(items) => items,
            value => {
                wrong_kind(at, mistakes, kind, || {
                    let message = format!(
                        "`{field}` of {} must be a list, not {}",
                        self.owner,
                        kind.name()
                    );
                    let remedy = match value {
                        Value::Scalar { text, .. } if !text.is_empty() => {
                            format!("Write `{field}: [{text}]`.")
                        }
                        _ => example(field),
                    };
                    (message, remedy)
                });
                return None;
            }
        };
        if items.is_empty() {
            mistakes.add(at, || {
                (
                    format!("`{field}` of {} is empty", self.owner),
                    example(field),
                )
            });
            return None;
        }
        let items = items
            .into_iter()
            .filter_map(|item| self.item(field, item, accepted, mistakes));
        Some(Located {
            what: items.collect(),
            at,
        })
    }

    fn item(
        &self,
        field: &str,
        item: Node,
        accepted: &[Kind],
        mistakes: &mut Mistakes,
    ) -> Option<Text> {
        let (at, kind) = (item.at, item.kind());
        match item.value {
            Value::Scalar { text, .. } if accepted.contains(&kind) => {
                Some(Located { what: text, at })
            }
            value => {
                wrong_kind(at, mistakes, kind, || {
                    let wanted = scalars_wanted(accepted);
                    let owner = self.owner;
                    let message = format!(
                        "an item of `{field}` of {owner} must be {wanted}, not {}",
                        kind.name()
                    );
                    (message, other_kind(field, kind, &value))
                });
                None
            }
        }
    }

    /// Reports every field that was not taken as unknown.
    pub(super) fn close(self, mistakes: &mut Mistakes) {
        for (key, _) in &self.pairs {
            let field = &*key.what;
            mistakes.add(key.at, || {
                let remedy = if LATER.contains(&field) {
                    "It is not part of manoward/v1 in this version; remove it.".to_owned()
                } else {
                    let otherwise = format!("Remove it; known are {}.", listed(self.known));
                    suggest::remedy(field, self.known.iter().copied(), &otherwise)
                };
                (format!("unknown field `{field}` in {}", self.owner), remedy)
            });
        }
    }
}

/// The pairs of a mapping, or a mistake.
pub(super) fn mapping(
    node: Node,
    owner: Owner<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<(Text, Node)>> {
    let (at, kind) = (node.at, node.kind());
    if let Value::Mapping(pairs) = node.value {
        return Some(pairs);
    }
    wrong_kind(at, mistakes, kind, || {
        let message = format!("{owner} must be a mapping, not {}", kind.name());
        (
            message,
            "Write its fields as `field: value`, indented below it.".to_owned(),
        )
    });
    None
}

/// Adds a mistake, unless the value's mistake was reported already.
pub(super) fn wrong_kind(
    at: At,
    mistakes: &mut Mistakes,
    kind: Kind,
    describe: impl FnOnce() -> (String, String),
) {
    if kind != Kind::Unusable {
        mistakes.add(at, describe);
    }
}

impl Kind {
    /// The kind in words, with its article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Fraction => "a number with a fraction",
            Self::Text => "text",
            Self::List => "a list",
            Self::Mapping => "a mapping",
            Self::Unusable => "unusable",
        }
    }
}
