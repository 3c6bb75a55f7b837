//! Numbers of rules and endpoints, which index their counters.
//!
//! A name keeps its number from one policy to the next, so its counters go on. Before a new name
//! gets a number, the counters of the number are cleared; numbers that the policy in force does not
//! use are given first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use verdict::counters;

use crate::policy::Policy;

/// A rule: a service at a reference point. Verdict counters are kept for each.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct RuleName {
    /// Name of the reference point.
    pub reference_point: String,
    /// Name of the service.
    pub service: String,
}

/// The number of each rule and each endpoint, from 1.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// Rules by name.
    pub rules: BTreeMap<RuleName, u16>,
    /// Endpoints by name.
    pub endpoints: BTreeMap<String, u32>,
}

impl Numbers {
    /// Checks numbers that were read from somewhere: each indexes a table of the kernel, and no two names may
    /// share one.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let rules = self.rules.values().map(|&number| u32::from(number));
        distinct("rule", rules, counters::RULES)?;
        distinct(
            "endpoint",
            self.endpoints.values().copied(),
            counters::ENDPOINTS,
        )
    }

    /// Numbers for `policy`; names that are in `self` keep their numbers. `None` if there are not
    /// enough numbers.
    #[must_use]
    pub fn carried_to(&self, policy: &Policy) -> Option<Self> {
        self.carried_beside(policy, &Self::default())
    }

    /// Numbers for `policy`, which may be on trial: no name gets the number that another has in
    /// `confirmed`, the policy to go back to.
    #[must_use]
    pub fn carried_beside(&self, policy: &Policy, confirmed: &Self) -> Option<Self> {
        let rules = policy.reference_points.iter().flat_map(|point| {
            point.services.iter().map(|service| RuleName {
                reference_point: point.name.clone(),
                service: service.clone(),
            })
        });
        Some(Self {
            rules: assign(&self.rules, &confirmed.rules, rules, counters::RULES as u16)?,
            endpoints: assign(
                &self.endpoints,
                &confirmed.endpoints,
                policy.endpoints.keys().cloned(),
                counters::ENDPOINTS,
            )?,
        })
    }

    /// These numbers and those of `others`, which give no name another number.
    #[must_use]
    pub fn joined(&self, others: &Self) -> Self {
        let mut joined = self.clone();
        joined.rules.extend(others.rules.clone());
        joined.endpoints.extend(others.endpoints.clone());
        joined
    }

    /// Numbers of rules that `before` gives to another name or to none: their counters must be
    /// cleared.
    pub fn new_rules<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u16> + 'a {
        changed(&self.rules, &before.rules)
    }

    /// Numbers of endpoints that `before` gives to another name or to none.
    pub fn new_endpoints<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u32> + 'a {
        changed(&self.endpoints, &before.endpoints)
    }
}

fn changed<'a, K: Ord, N: Copy + Eq>(
    now: &'a BTreeMap<K, N>,
    before: &'a BTreeMap<K, N>,
) -> impl Iterator<Item = N> + 'a {
    now.iter()
        .filter(|(name, number)| before.get(name) != Some(number))
        .map(|(_, &number)| number)
}

/// Numbers below `end` for `names`: a name keeps its number; a new one gets an unused number, or,
/// if there is none, that of a name that is gone and is not `confirmed`.
fn assign<K, N>(
    before: &BTreeMap<K, N>,
    confirmed: &BTreeMap<K, N>,
    names: impl Iterator<Item = K>,
    end: N,
) -> Option<BTreeMap<K, N>>
where
    K: Ord,
    N: Copy + Ord + From<u8> + TryFrom<u32>,
    u32: From<N>,
{
    let names: BTreeSet<K> = names.collect();
    let known = |name: &K| before.get(name).or_else(|| confirmed.get(name)).copied();
    let numbered = names.iter().filter_map(known);
    let kept: BTreeSet<N> = numbered.chain(confirmed.values().copied()).collect();
    let in_force: BTreeSet<N> = kept.iter().chain(before.values()).copied().collect();
    let every = || (1..u32::from(end)).filter_map(|number| N::try_from(number).ok());
    let unused = every().filter(|number| !in_force.contains(number));
    let released = every().filter(|number| in_force.contains(number) && !kept.contains(number));
    let mut free = unused.chain(released);
    names
        .into_iter()
        .map(|name| {
            let number = known(&name).or_else(|| free.next())?;
            Some((name, number))
        })
        .collect()
}
/// Checks that `numbers` are different ones, from 1 to less than `end`.
fn distinct(kind: &str, numbers: impl Iterator<Item = u32>, end: u32) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for number in numbers {
        if number == 0 || number >= end {
            return Err(format!("no {kind} can have the number {number}"));
        }
        if !seen.insert(number) {
            return Err(format!("two of the {kind}s have the number {number}"));
        }
    }
    Ok(())
}
