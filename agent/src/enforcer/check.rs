//! Looking at a policy without enforcing it.

use super::{ApplyError, Enforcer, host_facts};
use crate::{
    control::api::{Candidate, Difference, Report},
    datapath::interface::Interfaces,
    policy::{self, Mistake, Validated},
    store::{Identity, digest},
};

impl Enforcer {
    /// What is wrong with `candidate`, in its text and on this host.
    #[must_use]
    pub fn check(&self, candidate: &Candidate, interfaces: &Interfaces) -> Report {
        let validated = match policy::read(&candidate.text, &candidate.file) {
            Ok(validated) => validated,
            Err(error) => {
                return Report {
                    valid: false,
                    mistake_count: error.mistakes().len() + error.more(),
                    mistakes: error.mistakes().to_vec(),
                    lints: Vec::new(),
                };
            }
        };
        let refusal = self.rehearse(&validated, candidate, interfaces).err();
        let mistakes: Vec<Mistake> = refusal.iter().map(mistake).collect();
        Report {
            valid: mistakes.is_empty(),
            mistake_count: mistakes.len(),
            mistakes,
            lints: validated.lint(Some(&host_facts(interfaces))),
        }
    }

    /// Goes as far as applying would, without touching the kernel.
    fn rehearse(
        &self,
        validated: &Validated,
        candidate: &Candidate,
        interfaces: &Interfaces,
    ) -> Result<(), ApplyError> {
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(&candidate.text),
        };
        self.check_serial(identity)?;
        interfaces.carriers(&validated.policy)?;
        self.compile(&validated.policy, interfaces, identity)
            .map(|_| ())
    }

    /// How `candidate` differs from the policy in force.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Policy`].
    pub fn difference(&self, candidate: &Candidate) -> Result<Difference, ApplyError> {
        let validated = policy::read(&candidate.text, &candidate.file).map_err(Box::new)?;
        let before = self
            .current
            .as_ref()
            .map(|current| &current.validated.policy);
        Ok(Difference {
            from: before.map_or(0, |policy| policy.serial),
            to: validated.policy.serial,
            changes: policy::diff(before, &validated.policy),
        })
    }
}

/// A refusal that concerns the whole file.
fn mistake(refusal: &ApplyError) -> Mistake {
    let text = refusal.to_string();
    let (message, remedy) = text.split_once(". ").unwrap_or((&text, ""));
    Mistake {
        line: 1,
        column: 1,
        span: 0..0,
        message: message.to_owned(),
        remedy: remedy.to_owned(),
    }
}
