//! Numbers of roles.

use std::collections::{BTreeMap, BTreeSet};

use verdict::image::service::GOVERNING;

use crate::policy::Policy;

/// Numbers of roles, 1 to 63.
pub struct Roles<'a>(BTreeMap<&'a str, u8>);

impl<'a> Roles<'a> {
    /// Numbers the roles of `policy`, in the order of their names.
    pub fn of(policy: &'a Policy) -> Self {
        let of_points = policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles);
        let of_endpoints = policy.endpoints.values().map(|endpoint| &endpoint.role);
        let names: BTreeSet<&str> = of_points.chain(of_endpoints).map(String::as_str).collect();
        Self(names.into_iter().zip(1..).collect())
    }

    /// The number of `role`.
    pub fn number(&self, role: &str) -> u8 {
        self.0.get(role).copied().unwrap_or(GOVERNING)
    }

    /// Bit mask of the roles that a reference point names: bit N for the role with number N.
    pub fn known_mask(&self, policy: &Policy) -> u64 {
        policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles)
            .fold(0, |mask, role| mask | 1 << self.number(role))
    }
}
