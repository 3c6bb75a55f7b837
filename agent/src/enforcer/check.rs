//! Looking at a policy without enforcing it.

use super::{
    ApplyError, Current, View,
    compile::Compiler,
    host_facts,
    session::{Judged, Session},
};
use crate::{
    datapath::interface::{InterfaceError, Interfaces},
    image::CompileError,
    policy::{
        self, Access, At, Change, Lint, Mistake, Object, Place, Policy, PolicyError, Validated,
    },
    store::{Identity, digest},
};

/// What is wrong with a policy.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// What makes it invalid; the first of many.
    pub mistakes: Vec<Mistake>,
    /// How many there are.
    pub mistake_count: usize,
    /// What is valid, but probably not intended.
    pub lints: Vec<Lint>,
    /// Why it would not be applied as things are, although it is valid: sentences.
    pub apply_refuses: Vec<String>,
}

impl From<&PolicyError> for Review {
    fn from(error: &PolicyError) -> Self {
        Self {
            mistakes: error.mistakes().to_vec(),
            mistake_count: error.mistakes().len() + error.more(),
            lints: Vec::new(),
            apply_refuses: Vec::new(),
        }
    }
}

/// How a policy differs from the one in force.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Serial in force; 0 before the first policy.
    pub from: u64,
    /// Serial of the candidate.
    pub to: u64,
    /// What changes.
    pub changes: Vec<Change>,
    /// Who may newly connect.
    pub gained: Vec<Access>,
    /// Who may no longer connect.
    pub lost: Vec<Access>,
    /// Why it would not be applied as things are: sentences.
    pub apply_refuses: Vec<String>,
}

impl Difference {
    /// From one policy to another.
    #[must_use]
    pub fn between(before: Option<&Policy>, after: &Policy) -> Self {
        Self {
            from: before.map_or(0, |policy| policy.serial),
            to: after.serial,
            changes: policy::diff(before, after),
            gained: policy::access(before, Some(after)),
            lost: policy::access(Some(after), before),
            apply_refuses: Vec::new(),
        }
    }
}

impl View {
    /// What is wrong with the policy in `text`, in itself and on this host, looked at from `session`.
    #[must_use]
    pub fn check(
        &self,
        text: &str,
        file: &str,
        interfaces: &Interfaces,
        session: Option<&Session>,
    ) -> Review {
        let validated = match policy::read(text, file) {
            Ok(validated) => validated,
            Err(error) => return Review::from(&error),
        };
        let rehearsed = self.rehearse(&validated, text, interfaces, session);
        let apply_refuses = rehearsed.as_deref().map(told).unwrap_or_default();
        let refusal = rehearsed.err();
        let refusals = match refusal {
            Some(ApplyError::Interface(InterfaceError::Several(missing))) => {
                missing.into_iter().map(ApplyError::Interface).collect()
            }
            refusal => Vec::from_iter(refusal),
        };
        let mistakes: Vec<Mistake> = refusals
            .iter()
            .map(|refusal| mistake(refusal, &validated, text))
            .collect();
        Review {
            mistake_count: mistakes.len(),
            mistakes,
            lints: validated.lint(Some(&host_facts(interfaces, &validated.policy))),
            apply_refuses,
        }
    }

    /// Goes as far as applying would, without touching the kernel. Returns what that would refuse although
    /// the policy is valid: its serial, as a policy is edited first and numbered last, and that it cuts
    /// `session`.
    fn rehearse(
        &self,
        validated: &Validated,
        text: &str,
        interfaces: &Interfaces,
        session: Option<&Session>,
    ) -> Result<Vec<ApplyError>, ApplyError> {
        let identity = Identity {
            serial: validated.policy.serial,
            digest: digest(text),
        };
        interfaces.carriers(&validated.policy)?;
        let compiler = Compiler {
            numbers: self.current.as_deref().map(Current::numbers),
            confirmed: self.confirmed().map(Current::numbers),
            enrolment: self.enrolment,
        };
        let made = compiler.compile(&validated.policy, interfaces, identity)?;
        let judged = Judged {
            policy: &validated.policy,
            image: &made.image,
            numbers: &made.numbers,
            facts: &made.facts,
            registry: self.registry.as_deref(),
        };
        let current = self.current.as_deref();
        let stale = current.map(|current| follows(current.stored.identity, identity));
        let cut = session.map(|session| judged.admits(session));
        let refused = [stale, cut].into_iter().flatten().filter_map(Result::err);
        Ok(refused.collect())
    }

    /// How the policy in `text` differs from the one in force.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Policy`].
    pub fn difference(
        &self,
        text: &str,
        file: &str,
        interfaces: &Interfaces,
        session: Option<&Session>,
    ) -> Result<Difference, ApplyError> {
        let validated = policy::read(text, file).map_err(Box::new)?;
        let before = self.current.as_deref().map(Current::policy);
        let refused = match self.rehearse(&validated, text, interfaces, session) {
            Ok(refused) => refused,
            Err(error) => vec![error],
        };
        Ok(Difference {
            apply_refuses: told(&refused),
            ..Difference::between(before, &validated.policy)
        })
    }
}

/// Refuses a policy that is older than `current`, or has its serial and another text.
pub(super) fn follows(current: Identity, candidate: Identity) -> Result<(), ApplyError> {
    if candidate == current || candidate.serial > current.serial {
        return Ok(());
    }
    Err(ApplyError::Stale {
        candidate: candidate.serial,
        current: current.serial,
    })
}

fn told(refused: &[ApplyError]) -> Vec<String> {
    refused.iter().map(ToString::to_string).collect()
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
    let by_place = match refusal {
        ApplyError::Compile(CompileError::NoSuchPlace { interface }) => {
            let place = Place::Interface(interface.clone());
            let mut points = validated.policy.reference_points.iter();
            let point = points.find(|point| point.at.contains(&place));
            point.map(|point| (Object::ReferencePoint, &point.name))
        }
        _ => None,
    };
    let about = about.or(by_place);
    let at = about.and_then(|(object, name)| validated.positions.of(object, name));
    let sentence = refusal.to_string();
    let (message, remedy) = sentence.split_once(". ").unwrap_or((&sentence, ""));
    Mistake::on_host(text, at.unwrap_or(BEGINNING), message, remedy)
}
