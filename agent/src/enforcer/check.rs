//! Looking at a policy without enforcing it.

use super::{ApplyError, Enforcer, host_facts};
use crate::{
    control::api::{Candidate, Difference, Report},
    datapath::interface::{InterfaceError, Interfaces},
    image::CompileError,
    policy::{self, At, Mistake, Object, Validated},
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
        let mistakes: Vec<Mistake> = refusal
            .iter()
            .map(|refusal| mistake(refusal, &validated, &candidate.text))
            .collect();
        Report {
            valid: mistakes.is_empty(),
            mistake_count: mistakes.len(),
            mistakes,
            lints: validated.lint(Some(&host_facts(interfaces))),
        }
    }

    /// Goes as far as applying would, without touching the kernel. The serial is not looked at: a
    /// policy is edited first and numbered last.
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

/// Where nothing in particular is wrong.
const BEGINNING: At = At {
    line: 1,
    column: 1,
    length: 0,
};

/// A refusal, at what it is about.
fn mistake(refusal: &ApplyError, validated: &Validated, text: &str) -> Mistake {
    let about = match refusal {
        ApplyError::Interface(
            InterfaceError::Unknown { name, .. } | InterfaceError::NoPorts { name },
        ) => Some((Object::Interface, name)),
        ApplyError::NoEnrolment(endpoint)
        | ApplyError::Compile(CompileError::NoSuchInterface { endpoint, .. }) => {
            Some((Object::Endpoint, endpoint))
        }
        _ => None,
    };
    let at = about.and_then(|(object, name)| validated.positions.of(object, name));
    let sentence = refusal.to_string();
    let (message, remedy) = sentence.split_once(". ").unwrap_or((&sentence, ""));
    Mistake::on_host(text, at.unwrap_or(BEGINNING), message, remedy)
}
