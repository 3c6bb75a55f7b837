//! A name keeps its number from policy to policy, and with it its counters.

use std::collections::BTreeSet;

use verdict::counters::RULES;

use super::{
    super::{Numbers, RuleName},
    read,
};
use crate::policy::Policy;

/// A policy of these endpoints, and these services at one reference point.
fn policy(endpoints: &[&str], services: &[&str]) -> Policy {
    let lines: Vec<String> = (1..)
        .zip(endpoints)
        .map(|(n, name)| format!("  {name}: {{ role: vim, addresses: [192.0.2.{n}] }}\n"))
        .collect();
    let endpoints = if lines.is_empty() {
        "  {}\n".to_owned()
    } else {
        lines.concat()
    };
    let points = if services.is_empty() {
        "{}".to_owned()
    } else {
        format!(
            "{{ in: {{ from: [vim], services: [{}] }} }}",
            services.join(", ")
        )
    };
    read(&format!(
        "endpoints:\n{endpoints}reference_points: {points}"
    ))
}

fn carried(before: &Numbers, endpoints: &[&str], services: &[&str]) -> Numbers {
    before
        .carried_to(&policy(endpoints, services))
        .expect("enough numbers")
}

fn rule(service: &str) -> RuleName {
    RuleName {
        reference_point: "in".to_owned(),
        service: service.to_owned(),
    }
}

#[test]
fn numbers_start_at_one_and_are_unique() {
    let numbers = carried(
        &Numbers::default(),
        &["a", "b", "c"],
        &["ssh", "libvirt-tls"],
    );
    let endpoints: Vec<u32> = numbers.endpoints.values().copied().collect();
    assert_eq!(endpoints, [1, 2, 3]);
    let rules: BTreeSet<u16> = numbers.rules.values().copied().collect();
    assert_eq!(rules, BTreeSet::from([1, 2]));
}

#[test]
fn names_that_stay_keep_theirs() {
    let first = carried(&Numbers::default(), &["b", "c"], &["ssh"]);
    let second = carried(&first, &["a", "b", "c", "d"], &["libvirt-tls", "ssh"]);
    assert_eq!(second.endpoints["b"], first.endpoints["b"]);
    assert_eq!(second.endpoints["c"], first.endpoints["c"]);
    assert_eq!(second.rules[&rule("ssh")], first.rules[&rule("ssh")]);
    let all: BTreeSet<u32> = second.endpoints.values().copied().collect();
    assert_eq!(all, BTreeSet::from([1, 2, 3, 4]));
}

#[test]
fn numbers_in_force_are_given_away_last() {
    let first = carried(&Numbers::default(), &["a", "b"], &[]);
    let second = carried(&first, &["b", "c"], &[]);
    assert_eq!(second.endpoints["c"], 3, "1 is still a's in the kernel");
    let third = carried(&second, &["b", "c", "d"], &[]);
    assert_eq!(
        third.endpoints["d"], 1,
        "a is gone from the policy in force"
    );
}

#[test]
fn what_means_something_else_is_to_be_cleared() {
    let first = carried(&Numbers::default(), &["a", "b"], &["ssh"]);
    assert_eq!(first.new_endpoints(&Numbers::default()).count(), 2);
    let second = carried(&first, &["b", "c"], &["libvirt-tls", "ssh"]);
    let endpoints: Vec<u32> = second.new_endpoints(&first).collect();
    assert_eq!(endpoints, [second.endpoints["c"]]);
    let rules: Vec<u16> = second.new_rules(&first).collect();
    assert_eq!(rules, [second.rules[&rule("libvirt-tls")]]);
    assert_eq!(second.new_rules(&second).count(), 0);
    assert_eq!(second.new_endpoints(&second).count(), 0);
}

#[test]
fn a_number_is_released_where_all_are_in_use() {
    let names = |first: u32| -> Vec<String> {
        (first..first + RULES - 1)
            .map(|n| format!("s{n}"))
            .collect()
    };
    let with = |names: &[String]| {
        let mut policy = policy(&[], &["ssh"]);
        policy.reference_points[0].services = names.to_vec();
        policy
    };
    let first = Numbers::default().carried_to(&with(&names(0)));
    let first = first.expect("511 rules have numbers");
    let second = first.carried_to(&with(&names(1)));
    let second = second.expect("one is released");
    assert_eq!(second.rules[&rule("s511")], first.rules[&rule("s0")]);
    let cleared: Vec<u16> = second.new_rules(&first).collect();
    assert_eq!(cleared, [first.rules[&rule("s0")]]);
    let too_many: Vec<String> = (0..RULES).map(|n| format!("s{n}")).collect();
    assert_eq!(Numbers::default().carried_to(&with(&too_many)), None);
}

#[test]
fn outbound_reference_points_have_rules_too() {
    let policy = read(
        "endpoints: { vim: { role: vim, addresses: [192.0.2.1] } }\n\
         reference_points: { out: { to: [vim], services: [ssh] } }",
    );
    let numbers = Numbers::default().carried_to(&policy).expect("few names");
    assert_eq!(numbers.rules.len(), 1);
}

#[test]
fn numbers_that_no_table_has_and_those_of_two_names_are_refused() {
    let sound = carried(&Numbers::default(), &["a", "b"], &["ssh", "ping"]);
    assert_eq!(sound.check(), Ok(()));
    let rule = |numbers: &mut Numbers, number| {
        *numbers.rules.values_mut().next().expect("a rule") = number;
    };
    let endpoint = |numbers: &mut Numbers, number| {
        numbers.endpoints.insert("a".into(), number);
    };
    let of_other = sound.rules.values().nth(1).copied().expect("two rules");
    for number in [0, RULES as u16, u16::MAX, of_other] {
        let mut damaged = sound.clone();
        rule(&mut damaged, number);
        assert!(damaged.check().is_err(), "rule {number}");
    }
    for number in [0, 1 << 16, u32::MAX, sound.endpoints["b"]] {
        let mut damaged = sound.clone();
        endpoint(&mut damaged, number);
        assert!(damaged.check().is_err(), "endpoint {number}");
    }
}
