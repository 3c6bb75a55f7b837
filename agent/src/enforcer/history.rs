//! Policies that were in force before, and going back to one of them.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{Applied, ApplyError, Enforcer, Observer, Order, View};
use crate::{
    datapath::interface::Interfaces,
    store::{StoreError, Stored, history::Entry},
};

/// Why there is no going back.
#[derive(Debug, Error)]
pub enum RollBackError {
    /// No policy of this serial is kept.
    #[error("no policy with serial {0} is kept. `manoward policy history` lists all")]
    NoSuchSerial(u64),
    /// Nothing was in force before.
    #[error("no other policy was in force before this one")]
    NothingBefore,
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The history, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Number of lines that hold, from the first on.
    pub lines: u64,
    /// SHA-256 of the last line, if all hold.
    pub head: Option<String>,
    /// What is wrong, in sentences.
    pub flaws: Vec<String>,
}

/// Reads files only, beside every change.
impl Observer {
    /// Every line of the history.
    ///
    /// # Errors
    ///
    /// A history that cannot be read.
    pub fn history(&self) -> Result<Vec<Entry>, StoreError> {
        self.store.history().entries()
    }

    /// The policy that last had this serial; `None` if none is kept.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn kept(&self, serial: u64) -> Result<Option<Stored>, StoreError> {
        self.store.with_serial(serial)
    }

    /// Looks whether the history and the kept policies are as they were written.
    ///
    /// # Errors
    ///
    /// A history that cannot be read.
    pub fn verify_history(&self, view: &View) -> Result<Verification, StoreError> {
        let history = self.store.history();
        let (lines, head, mut flaws) = match history.verify()? {
            Ok((lines, head)) => (lines, Some(head), Vec::new()),
            Err(flaw) => {
                let path = history.path().display();
                let sentence = format!("{path}, line {}: {}", flaw.line, flaw.message);
                (flaw.line - 1, None, vec![sentence])
            }
        };
        flaws.extend(self.store.damages()?);
        if let Some(current) = &view.current {
            let entries = history.entries()?;
            let last = entries.iter().rfind(|entry| !entry.event.ends_trial());
            if !last.is_some_and(|entry| entry.is_about(current.stored.identity)) {
                let last = history.last_about(current.stored.identity)?;
                if last.is_none_or(|entry| entry.event.ends_trial()) {
                    let serial = current.stored.identity.serial;
                    flaws.push(format!(
                        "serial {serial} is in force, and the history does not say so"
                    ));
                }
            }
        }
        Ok(Verification { lines, head, flaws })
    }
}

impl Enforcer {
    /// Enforces the text of the policy `serial`, or of the one in force before, under a serial of its
    /// own; all else as `order` says.
    ///
    /// # Errors
    ///
    /// [`RollBackError`]: what was in force still is.
    pub fn roll_back(
        &mut self,
        serial: Option<u64>,
        order: Order,
        interfaces: Interfaces,
    ) -> Result<Applied, RollBackError> {
        let stored = match serial {
            Some(serial) => self
                .store
                .with_serial(serial)?
                .ok_or(RollBackError::NoSuchSerial(serial))?,
            None => self.before()?.ok_or(RollBackError::NothingBefore)?,
        };
        let mut order = Order {
            text: stored.text,
            file: stored.file,
            next_serial: true,
            ..order
        };
        order.reason.restores = Some(stored.identity.serial);
        Ok(self.apply(order, interfaces)?)
    }

    /// The policy that was in force for good before the one that is now.
    fn before(&self) -> Result<Option<Stored>, StoreError> {
        let current = self.current.as_ref().map(|it| it.stored.identity);
        let entries = self.store.history().entries()?;
        let mut seen = BTreeSet::new();
        for entry in entries.iter().rev() {
            let lasting = entry.event.lasts();
            let is_current = current.is_some_and(|current| entry.is_about(current));
            if !lasting || is_current || !seen.insert(&entry.digest) {
                continue;
            }
            let stored = entry.identity().map(|identity| self.store.find(identity));
            if let Some(stored) = stored.transpose()?.flatten() {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }
}
