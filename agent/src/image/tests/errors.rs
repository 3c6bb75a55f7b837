//! Policies that cannot be compiled, and what the errors name.

use std::collections::BTreeMap;

use super::{
    super::{CompileError, Facts, Numbers, compile},
    addresses::with_endpoints,
    compiled,
    prefixes::distant_lengths,
    read,
};
use crate::policy::{Policy, Protect};

fn refused(policy: &Policy, facts: &Facts) -> CompileError {
    let numbers = Numbers::default().carried_to(policy).expect("few names");
    compile(policy, facts, &numbers).expect_err("it does not fit this host")
}

fn bound_to_bond0() -> Policy {
    read(
        "endpoints: { vim: { role: vim, addresses: [192.0.2.10], interface: bond0 } }\n\
         reference_points: {}",
    )
}

#[test]
fn a_policy_that_protects_nothing() {
    let mut policy = read("endpoints: {}\nreference_points: {}");
    policy.protect = vec![Protect::InterfaceAddresses];
    let facts = Facts {
        // A broadcast address alone is nothing to protect.
        broadcasts: vec!["192.0.2.255".parse().unwrap()],
        ..Facts::default()
    };
    assert_eq!(refused(&policy, &facts), CompileError::NothingProtected);
}

#[test]
fn a_binding_to_an_interface_that_is_not_there() {
    let expected = CompileError::NoSuchInterface {
        endpoint: "vim".to_owned(),
        interface: "bond0".to_owned(),
    };
    assert_eq!(refused(&bound_to_bond0(), &Facts::default()), expected);
    let facts = Facts {
        arrivals: BTreeMap::from([("bond0".to_owned(), Vec::new())]),
        ..Facts::default()
    };
    assert_eq!(refused(&bound_to_bond0(), &facts), expected);
}

#[test]
fn a_binding_to_an_interface_of_too_many_parts() {
    let facts = |count| Facts {
        arrivals: BTreeMap::from([("bond0".to_owned(), (1..=count).collect())]),
        ..Facts::default()
    };
    let expected = CompileError::TooManyArrivals {
        interface: "bond0".to_owned(),
        count: 17,
    };
    assert_eq!(refused(&bound_to_bond0(), &facts(17)), expected);
    let numbers = Numbers::default()
        .carried_to(&bound_to_bond0())
        .expect("few names");
    assert!(compile(&bound_to_bond0(), &facts(16), &numbers).is_ok());
}

#[test]
fn prefixes_of_too_many_lengths() {
    let endpoints = BTreeMap::from([("vim".to_owned(), distant_lengths(17))]);
    let policy = with_endpoints(endpoints);
    assert_eq!(
        refused(&policy, &Facts::default()),
        CompileError::TooManyLengths
    );
    let endpoints = BTreeMap::from([("vim".to_owned(), distant_lengths(16))]);
    let (image, _) = compiled(&with_endpoints(endpoints));
    assert!(!image.is_empty());
}
