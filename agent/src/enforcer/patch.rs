//! Changing single addresses of the policy in force.

use std::sync::Arc;

use thiserror::Error;

use super::{Applied, ApplyError, Enforcer, Order, compile::Compiled};
use crate::{
    datapath::interface::Interfaces,
    policy::{
        Validated,
        patch::{Patch, PatchError, Patched, patched},
    },
    signature::SignatureError,
    store::Identity,
};

/// Why the policy in force was not patched. It is still in force.
#[derive(Debug, Error)]
pub enum PatchPolicyError {
    /// There is none.
    #[error("there is no policy yet. Apply one with `manoward policy apply`")]
    NoPolicy,
    /// It cannot be changed so.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// What it becomes cannot be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Enforcer {
    /// Enforces the policy in force after `patch`, under the next serial; all else as `order` says.
    ///
    /// # Errors
    ///
    /// [`PatchPolicyError`]: what was in force still is.
    pub fn patch(
        &mut self,
        patch: &Patch,
        order: Order,
        interfaces: Interfaces,
    ) -> Result<Applied, PatchPolicyError> {
        let current = self.current.clone();
        let current = current.filter(|current| current.stored.identity.serial != 0);
        let current = current.ok_or(PatchPolicyError::NoPolicy)?;
        if !self.config.trusted_keys.is_empty() {
            return Err(ApplyError::from(SignatureError::Patched).into());
        }
        let serial = self.next_serial()?;
        let (text, validated, changes) =
            patched(&current.stored.text, &current.validated, patch, serial)?;
        let order = Order {
            text,
            file: current.stored.file.clone(),
            patched: Some(Arc::new((validated, changes))),
            ..order
        };
        Ok(self.apply(order, interfaces)?)
    }

    /// The image in force with `changes`; `None` if it is to be compiled anew.
    pub(super) fn patched_image(
        &self,
        validated: &Validated,
        changes: &[Patched],
        interfaces: &Interfaces,
        identity: Identity,
    ) -> Option<Compiled> {
        let current = self.current.as_deref()?;
        let facts = interfaces.facts(&validated.policy);
        if facts != current.facts {
            return None;
        }
        let numbers = current.numbers().clone();
        let mut image = current
            .image
            .patched(&validated.policy, &numbers, changes)?;
        image.identify(identity.digest);
        Some(Compiled {
            facts,
            image,
            numbers,
        })
    }
}
