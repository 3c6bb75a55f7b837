//! The parts of a policy with the files they come from: merging them, and putting in facts.

use std::collections::BTreeMap;

use super::From;
use crate::policy::{
    mistake::Mistakes,
    suggest,
    yaml::{self, Node},
};

/// Fields whose entries are merged by name.
const NAMED: [&str; 5] = [
    "endpoints",
    "reference_points",
    "services",
    "flow_timeouts",
    "accept",
];

/// A value, and where it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) from: From,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar { text: Box<str>, plain: bool },
    List(Vec<Tree>),
    Mapping(Vec<(Key, Tree)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) from: From,
    pub(super) text: Box<str>,
}

impl Default for Value {
    fn default() -> Self {
        Self::Mapping(Vec::new())
    }
}

/// What variables stand for: scalars, and lists of them.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<Box<str>, Tree>);

impl Facts {
    /// The facts in the tree `root` of a file.
    pub(super) fn of(root: Node, file: u16, mistakes: &mut Mistakes) -> Self {
        let at = root.at;
        let yaml::Value::Mapping(pairs) = root.value else {
            mistakes.add(at, || {
                let message = "facts must be a mapping from names to values".to_owned();
                (
                    message,
                    "Write for example `management: 192.0.2.17`.".to_owned(),
                )
            });
            return Self::default();
        };
        let mut facts = BTreeMap::new();
        for (name, node) in pairs {
            let at = node.at;
            let tree = Tree::of(node, file, &Self::default(), mistakes);
            let is_scalar = |tree: &Tree| matches!(tree.value, Value::Scalar { .. });
            let usable = match &tree.value {
                Value::List(items) => items.iter().all(is_scalar),
                _ => is_scalar(&tree),
            };
            if usable {
                facts.insert(name.what, tree);
            } else {
                mistakes.add(at, || {
                    let message =
                        format!("the fact `{}` is neither a scalar nor a list", name.what);
                    (message, "Write a value, or a list of values.".to_owned())
                });
            }
        }
        Self(facts)
    }

    /// The fact `name`; that there is none is a mistake at `from`.
    fn find(&self, name: &str, from: From, mistakes: &mut Mistakes) -> Option<&Tree> {
        let found = self.0.get(name);
        if found.is_none() {
            mistakes.add(from.at, || {
                let known = self.0.keys().map(|name| &**name);
                let remedy = suggest::remedy(name, known, "Name it in facts.yaml.");
                (format!("there is no fact `{name}`"), remedy)
            });
        }
        found
    }
}

/// The name in a text that is one variable and nothing else.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("$(")?.strip_suffix(')')?;
    (!name.contains(['$', '(', ')'])).then_some(name)
}

impl Tree {
    /// The tree of a file, with `facts` for its variables.
    pub(super) fn of(node: Node, file: u16, facts: &Facts, mistakes: &mut Mistakes) -> Self {
        let from = From { file, at: node.at };
        let value = match node.value {
            yaml::Value::Scalar { text, plain } => {
                return Self::scalar(from, &text, plain, facts, mistakes);
            }
            yaml::Value::List(nodes) => {
                let mut items = Vec::new();
                for node in nodes {
                    let item = Self::of(node, file, facts, mistakes);
                    match item.value {
                        // A list of facts takes the place of its variable.
                        Value::List(more) => items.extend(more),
                        _ => items.push(item),
                    }
                }
                Value::List(items)
            }
            yaml::Value::Mapping(pairs) => Value::Mapping(
                pairs
                    .into_iter()
                    .map(|(key, node)| {
                        let from = From { file, at: key.at };
                        let text = key.what;
                        (Key { from, text }, Self::of(node, file, facts, mistakes))
                    })
                    .collect(),
            ),
            // Its mistake was reported.
            yaml::Value::Unusable => Value::default(),
        };
        Self { from, value }
    }

    fn scalar(from: From, text: &str, plain: bool, facts: &Facts, mistakes: &mut Mistakes) -> Self {
        if let Some(name) = variable(text) {
            let found = facts.find(name, from, mistakes);
            return found.cloned().unwrap_or_default();
        }
        let mut whole = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("$(") {
            let Some((name, after)) = behind.split_once(')') else {
                mistakes.add(from.at, || {
                    let message = "a variable that `$(` opens is not closed".to_owned();
                    (message, "Write `$(NAME)`.".to_owned())
                });
                break;
            };
            whole.push_str(before);
            match facts.find(name, from, mistakes).map(|fact| &fact.value) {
                Some(Value::Scalar { text, .. }) => whole.push_str(text),
                Some(_) => mistakes.add(from.at, || {
                    let message = format!("the fact `{name}` is a list, and stands within a text");
                    (
                        message,
                        "Let the variable stand alone, or name a single fact.".to_owned(),
                    )
                }),
                None => {}
            }
            rest = after;
        }
        whole.push_str(rest);
        let text = whole.into_boxed_str();
        let value = Value::Scalar { text, plain };
        Self { from, value }
    }

    /// This tree with what `later` says: its fields replace those of the same name, but where entries have
    /// names, they are added, and their fields replaced.
    pub(super) fn merged(self, later: Self, depth: u32) -> Self {
        let (from, pairs, more) = match (self, later) {
            (
                Self {
                    from,
                    value: Value::Mapping(pairs),
                },
                Self {
                    value: Value::Mapping(more),
                    ..
                },
            ) => (from, pairs, more),
            (_, later) => return later,
        };
        let mut merged: Vec<(Key, Self)> = pairs;
        let mut places: BTreeMap<Box<str>, usize> = merged
            .iter()
            .enumerate()
            .map(|(place, (key, _))| (key.text.clone(), place))
            .collect();
        for (key, tree) in more {
            let Some(&place) = places.get(&key.text) else {
                places.insert(key.text.clone(), merged.len());
                merged.push((key, tree));
                continue;
            };
            let descends = depth == 1 || depth == 0 && NAMED.contains(&&*key.text);
            let before = std::mem::take(&mut merged[place].1);
            merged[place] = if descends {
                (merged[place].0.clone(), before.merged(tree, depth + 1))
            } else {
                (key, tree)
            };
        }
        Self {
            from,
            value: Value::Mapping(merged),
        }
    }
}
