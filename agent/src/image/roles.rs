//! Numbers of sets of roles.

use std::collections::BTreeMap;

use verdict::image::service::GOVERNING;

use crate::policy::{self, Policy, ReferencePoint};

/// Numbers of the sets of roles that endpoints have, 1 to [`MOST`](Self::MOST). Who has several roles may
/// use what any of them may, so that the kernel needs no more than one number for all.
pub struct Roles<'a>(BTreeMap<&'a policy::Roles, u8>);

impl<'a> Roles<'a> {
    /// Most sets of roles.
    pub const MOST: usize = 63;

    /// Numbers the sets of roles of `policy`, in their order; `None` if there are too many.
    pub fn of(policy: &'a Policy) -> Option<Self> {
        let sets = policy.endpoints.values().map(|endpoint| &endpoint.roles);
        let sets: std::collections::BTreeSet<&policy::Roles> = sets.collect();
        (sets.len() <= Self::MOST).then(|| Self(sets.into_iter().zip(1..).collect()))
    }

    /// The number of these roles.
    pub fn number(&self, roles: &policy::Roles) -> u8 {
        self.0.get(roles).copied().unwrap_or(GOVERNING)
    }

    /// The numbers of the sets with a role that `point` names, and [`GOVERNING`] if it names everyone.
    pub fn named_by(&self, point: &ReferencePoint) -> Vec<u8> {
        let anyone = point.roles.iter().any(|role| role == policy::ANYONE);
        let of_sets = self.0.iter().filter(|(roles, _)| {
            anyone
                || roles
                    .iter()
                    .any(|role| point.roles.iter().any(|named| named == role))
        });
        let anyone = anyone.then_some(GOVERNING);
        anyone
            .into_iter()
            .chain(of_sets.map(|(_, &number)| number))
            .collect()
    }

    /// Bit mask of the numbers that reference points name.
    pub fn known_mask(&self, policy: &Policy) -> u64 {
        let points = policy.reference_points.iter();
        points
            .flat_map(|point| self.named_by(point))
            .fold(0, |mask, number| mask | 1 << number)
    }
}
