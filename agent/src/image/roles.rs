//! Roles by number.

use std::collections::{BTreeMap, BTreeSet};

use verdict::image::service::GOVERNING;

use crate::policy::Policy;

/// Numbers of roles, 1 to 63.
pub struct Roles<'a>(BTreeMap<&'a str, u8>);

impl<'a> Roles<'a> {
    /// Those of `policy`.
    pub fn of(policy: &'a Policy) -> Self {
        let of_points = policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles);
        let of_endpoints = policy.endpoints.values().map(|endpoint| &endpoint.role);
        let names: BTreeSet<&str> = of_points.chain(of_endpoints).map(String::as_str).collect();
        Self(names.into_iter().zip(1..).collect())
    }

    /// The number of `role`, which the policy names.
    pub fn number(&self, role: &str) -> u8 {
        self.0.get(role).copied().unwrap_or(GOVERNING)
    }

    /// The roles that hold some permission.
    pub fn known_mask(&self, policy: &Policy) -> u64 {
        policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles)
            .fold(0, |mask, role| mask | 1 << self.number(role))
    }
}
