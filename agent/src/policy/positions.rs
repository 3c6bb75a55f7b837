//! Positions of the parts of a policy in its text, for remarks after validation.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// A position in the policy's text, in characters; line and column count from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct At {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Length in characters, within the line.
    pub length: u32,
}

/// Kinds of parts of a policy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// The policy itself: its name, serial number, mode, and `outbound`.
    Policy,
    /// An entry of `flow_timeouts`, by the name of its state.
    FlowTimeout,
    /// An entry of `interfaces`.
    Interface,
    /// An entry of `protect`.
    Protect,
    /// A role; its position is at the first endpoint that has it.
    Role,
    /// An endpoint.
    Endpoint,
    /// A reference point.
    ReferencePoint,
    /// A service that the file defines.
    Service,
    /// `break_glass`.
    BreakGlass,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "policy",
            Self::FlowTimeout => "flow timeout",
            Self::Interface => "interface",
            Self::Protect => "protected address",
            Self::Role => "role",
            Self::Endpoint => "endpoint",
            Self::ReferencePoint => "reference point",
            Self::Service => "service",
            Self::BreakGlass => "emergency access",
        })
    }
}

/// Positions of parts, by kind and name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Positions(BTreeMap<Object, BTreeMap<String, At>>);

impl Positions {
    /// Where the part is first written; `None` if it is not in the file, such as a service of the
    /// catalogue.
    #[must_use]
    pub fn of(&self, object: Object, name: &str) -> Option<At> {
        self.0.get(&object)?.get(name).copied()
    }

    /// The names of all parts of one kind.
    pub fn names(&self, object: Object) -> impl Iterator<Item = &str> {
        self.0
            .get(&object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }

    /// All positions.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut At> {
        self.0.values_mut().flat_map(BTreeMap::values_mut)
    }

    pub(super) fn note(&mut self, object: Object, name: &str, at: At) {
        let known = self.0.entry(object).or_default();
        if !known.contains_key(name) {
            known.insert(name.to_owned(), at);
        }
    }
}
