//! Which kinds of packets are compared.

use anyhow::{Result, ensure};

use crate::packets::case::{Kind, Sources, label};
use crate::packets::policy::Known;

/// What is compared by default: the most frequent kinds.
pub const USUAL: [&str; 6] = [
    "unprotected",
    "unknown-source",
    "allowed",
    "wrong-role",
    "by-lease",
    "established-flow",
];

/// The name that selects all kinds.
const ALL: &str = "all";

/// Kinds of packets, by their names.
#[derive(Clone, Debug)]
pub struct Selection(Vec<String>);

impl Selection {
    /// Takes names as they are printed, or with dashes between the words.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let names: Vec<_> = names.into_iter().map(dashed).collect();
        let known = every_name();
        for name in &names {
            ensure!(
                name == ALL || known.contains(name),
                "there is no case {name}; there are {}, and {ALL}",
                known.join(", ")
            );
        }
        Ok(Self(names))
    }

    /// Whether these packets are compared.
    pub fn has(&self, kind: Kind, sources: Sources) -> bool {
        let name = dashed(&label(kind, sources));
        self.0
            .iter()
            .any(|selected| *selected == name || selected == ALL)
    }
}

fn every_name() -> Vec<String> {
    let cases = Known::ALL.iter().flat_map(|known| known.cases());
    cases
        .map(|&(kind, sources)| dashed(&label(kind, sources)))
        .collect()
}

/// The words of a name, with dashes between them.
fn dashed(name: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_kinds_come_from_changing_sources() {
        let selection = Selection::new(USUAL).expect("all of them exist");
        for kind in [Kind::Unknown, Kind::Allowed] {
            assert!(selection.has(kind, Sources::Changing));
            assert!(!selection.has(kind, Sources::Fixed));
        }
        assert!(!selection.has(Kind::Allowed, Sources::Prefixes));
        assert!(!selection.has(Kind::Fragment, Sources::Changing));
    }

    #[test]
    fn names_are_taken_as_they_are_printed() {
        for name in ["ARP, ND", "arp-nd"] {
            let selection = Selection::new([name]).expect("it exists");
            assert!(selection.has(Kind::Neighbour, Sources::Changing));
        }
        let all = Selection::new(["all"]).expect("it exists");
        assert!(all.has(Kind::Opening, Sources::Changing));
        assert!(Selection::new(["nonsense"]).is_err());
    }

    #[test]
    fn every_kind_has_another_name() {
        let mut names = every_name();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
