//! Putting an image in force, and adapting it to the host as that changes.

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};
use verdict::layout::BEYOND;

use super::{ApplyError, Current, Enforcer, Trial, adopt::Adoption, problem::Kind};
use crate::{
    datapath::{
        AttachError, Attachment, PublishError,
        interface::{Carrier, InterfaceError, Interfaces},
    },
    image::{self, Facts, Image},
    policy::Validated,
    store::Stored,
};

/// How long an image is to be in force.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Until the next.
    ForGood,
    /// For this time, unless it is confirmed.
    OnTrial(Duration),
    /// As the one that it replaces.
    AsBefore,
}

/// An image that is to be put in force.
pub(super) struct Put<'a> {
    pub(super) image: &'a Image,
    /// Where its policy is enforced.
    pub(super) carriers: &'a [Carrier],
    /// The policy to go back to, whose interfaces stay enforced meanwhile.
    pub(super) confirmed: Option<&'a Current>,
    pub(super) how: How,
    /// Which connections are taken over.
    pub(super) adoption: Adoption,
}

impl Enforcer {
    /// Publishes an image and attaches, in the order in which nothing goes unjudged: a program
    /// without an image would drop everything, an interface without a program would pass everything.
    ///
    /// Connections are taken over before the first packet is judged by it, where that is possible.
    pub(super) fn enforce(&mut self, put: &Put<'_>) -> Result<(), ApplyError> {
        // A policy that is applied is enforced everywhere, or nowhere.
        let each = matches!(put.how, How::AsBefore);
        if self.datapath.enforced()?.is_none() {
            self.publish(put, &[])?;
            self.adopt_connections(&put.adoption, put.image);
            self.attachments = self.attach(put.carriers, put.confirmed, each)?.0;
        } else {
            let (attachments, beyond) = self.attach(put.carriers, put.confirmed, each)?;
            self.publish(put, &beyond)?;
            self.attachments = attachments;
            self.adopt_connections(&put.adoption, put.image);
        }
        self.datapath
            .release_others(&self.attachments, &self.interfaces)?;
        Ok(())
    }

    fn publish(&mut self, put: &Put<'_>, beyond: &[u32]) -> Result<(), PublishError> {
        match put.how {
            How::OnTrial(term) => self.datapath.try_out(put.image, beyond, term),
            How::AsBefore if self.trial.is_some() => self.datapath.retry(put.image, beyond),
            How::ForGood | How::AsBefore => self.datapath.publish(put.image),
        }
    }

    /// Attaches to `carriers`, and to those of the policy `confirmed`. All attachments, and the indexes
    /// of those interfaces that only `carriers` need. With `each`, what cannot be attached somewhere is
    /// reported, and does not keep it from the others.
    fn attach(
        &mut self,
        carriers: &[Carrier],
        confirmed: Option<&Current>,
        each: bool,
    ) -> Result<(Vec<Attachment>, Vec<u32>), ApplyError> {
        let mut attachments = if each {
            self.attach_possible(carriers)?
        } else {
            self.datapath.attach(carriers, &self.interfaces)?
        };
        let Some(confirmed) = confirmed else {
            return Ok((attachments, Vec::new()));
        };
        let (carriers, _) = self.interfaces.carriers_present(confirmed.policy());
        let kept = self.datapath.attach(&carriers, &self.interfaces)?;
        let is_kept = |at: &Attachment| kept.iter().any(|kept| kept.ifindex == at.ifindex);
        let beyond = attachments.iter().filter(|at| !is_kept(at));
        let mut beyond: Vec<u32> = beyond.map(|at| at.ifindex).collect();
        beyond.dedup();
        if beyond.len() > BEYOND {
            return Err(ApplyError::TooManyInterfaces(beyond.len()));
        }
        let only_kept = kept.into_iter().filter(|kept| {
            let mut named = attachments.iter();
            !named.any(|at| (at.ifindex, at.mode) == (kept.ifindex, kept.mode))
        });
        let only_kept: Vec<Attachment> = only_kept.collect();
        attachments.extend(only_kept);
        Ok((attachments, beyond))
    }

    fn attach_possible(&mut self, carriers: &[Carrier]) -> Result<Vec<Attachment>, AttachError> {
        let before = self.attachments.clone();
        let (attachments, errors) =
            self.datapath
                .attach_each(carriers, &self.interfaces, &before)?;
        for error in errors {
            self.problem(Kind::CannotAttach, error.to_string());
        }
        Ok(attachments)
    }

    /// Attaches wherever the policies in force are enforced and that is possible, and reports where it is
    /// not.
    pub(super) fn attach_each(&mut self, carriers: &[Carrier]) -> Result<(), ApplyError> {
        let trial = self.trial.clone();
        let confirmed = trial.as_deref().and_then(Trial::confirmed);
        let (attachments, beyond) = self.attach(carriers, confirmed, true)?;
        self.attachments = attachments;
        if trial.is_some() {
            self.datapath.set_beyond(&beyond)?;
        }
        self.datapath
            .release_others(&self.attachments, &self.interfaces)?;
        Ok(())
    }

    /// Goes on with a policy that was in force before this agent started.
    pub(super) fn take_up(&mut self, stored: Stored, validated: Validated) {
        self.current = Some(Arc::new(Current {
            stored: Arc::new(stored),
            validated: Arc::new(validated),
            image: Image::empty(),
            facts: Facts::default(),
        }));
        self.adapt_to(Arc::clone(&self.interfaces));
    }

    /// Adapts what is enforced to the host as it is now: addresses, interfaces, ports of bridges.
    ///
    /// What cannot be adapted stays as it was, and is reported.
    pub fn follow(&mut self, interfaces: Interfaces) {
        self.changing(|enforcer| enforcer.adapt_to(Arc::new(interfaces)));
    }

    fn adapt_to(&mut self, mut interfaces: Arc<Interfaces>) {
        if let Some(current) = &self.current {
            self.held.hold(current.policy(), &interfaces);
            Arc::make_mut(&mut interfaces).hold(self.held.by_name());
        }
        self.interfaces = interfaces;
        let Some(current) = self.current.clone() else {
            return;
        };
        self.problems.host.clear();
        let (carriers, missing) = self.interfaces.carriers_present(current.policy());
        self.report_missing(missing);
        self.report_renamed();
        let adapted = self
            .adapt_confirmed()
            .and_then(|()| self.adapt(&current, &carriers));
        match adapted {
            Ok(Some(adapted)) => self.current = Some(Arc::new(adapted)),
            Ok(None) => {}
            Err(error) => self.problem(
                Kind::CannotFollow,
                format!("the host changed, and what was enforced before stays: {error}"),
            ),
        }
        self.follow_policy();
    }

    /// Adapts the policy to go back to, while another is on trial.
    fn adapt_confirmed(&mut self) -> Result<(), ApplyError> {
        let Some(trial) = self.trial.clone() else {
            return Ok(());
        };
        let Some(adapted) = trial
            .confirmed()
            .map(|confirmed| self.recompiled(confirmed))
        else {
            return Ok(());
        };
        if let Some(adapted) = adapted? {
            self.datapath.replace_confirmed(&adapted.image)?;
            self.trial = Some(Arc::new(Trial {
                confirmed: Some(Arc::new(adapted)),
                ends: trial.ends,
                within: trial.within,
                connections: trial.connections.clone(),
            }));
        }
        Ok(())
    }

    /// `policy` for the host as it is now; `None` if it is the same as before.
    fn recompiled(&self, policy: &Current) -> Result<Option<Current>, ApplyError> {
        let facts = self.interfaces.facts(policy.policy());
        if facts == policy.facts && !policy.image.is_empty() {
            return Ok(None);
        }
        let mut image = image::compile(policy.policy(), &facts, policy.numbers())?;
        image.identify(policy.stored.identity.digest);
        Ok(Some(Current {
            stored: Arc::clone(&policy.stored),
            validated: Arc::clone(&policy.validated),
            image,
            facts,
        }))
    }

    /// What is enforced now, if it is something else than before.
    fn adapt(
        &mut self,
        current: &Current,
        carriers: &[Carrier],
    ) -> Result<Option<Current>, ApplyError> {
        let trial = self.trial.clone();
        let confirmed = trial.as_deref().and_then(Trial::confirmed);
        let Some(adapted) = self.recompiled(current)? else {
            self.attach_each(carriers)?;
            return Ok(None);
        };
        let adoption = if current.image.is_empty() {
            Adoption::Host
        } else {
            Adoption::of(Some(current), current.policy(), &adapted.facts)
        };
        self.enforce(&Put {
            image: &adapted.image,
            carriers,
            confirmed,
            how: How::AsBefore,
            adoption,
        })?;
        let addresses = adapted.facts.addresses.len();
        info!(addresses, "adapted to the host");
        Ok(Some(adapted))
    }

    pub(super) fn report_missing(&mut self, missing: Vec<InterfaceError>) {
        for error in missing {
            let problem = format!("{error}; everything else is enforced");
            self.problem(Kind::InterfaceMissing, problem);
        }
    }

    fn report_renamed(&mut self) {
        let interfaces = Arc::clone(&self.interfaces);
        for (name, interface) in interfaces.renamed() {
            self.problem(Kind::InterfaceRenamed, format!(
                "`{name}` is now called `{}`, and stays enforced. Correct `interfaces` in the policy, \
                 or rename it back",
                interface.name
            ));
        }
    }

    pub(super) fn problem(&mut self, kind: Kind, message: String) {
        let problem = kind.problem(message);
        if !self.problems.host.contains(&problem) {
            warn!("{}", problem.message);
            self.problems.host.push(problem);
        }
    }
}
