//! What is enforced at one moment, for everybody who only looks.
//!
//! The enforcer posts a view with every change. Who looks takes the latest and keeps it as long as
//! need be: nothing in it changes any more, and nobody waits for it.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Glass, Trial, Trying,
    adopt::protected,
    problem::{Kind, Problem},
};
use crate::{
    config::DoorMode,
    datapath::{Attachment, Hook, HookMode, interface::Interfaces},
    image::{Facts, Image, Numbers},
    leases::Registry,
    policy::{Policy, Validated},
    store::Stored,
};

/// A policy in force, in all its forms.
#[derive(Debug)]
pub struct Current {
    /// Text, identity and numbers.
    pub stored: Arc<Stored>,
    /// The validated policy.
    pub validated: Arc<Validated>,
    /// What the kernel reads.
    pub image: Image,
    /// What it was compiled for.
    pub facts: Facts,
}

impl Current {
    /// What the policy says.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.validated.policy
    }

    /// The numbers that the kernel knows the policy's names by.
    #[must_use]
    pub fn numbers(&self) -> &Numbers {
        &self.stored.numbers
    }

    /// Addresses whose management traffic is judged.
    #[must_use]
    pub fn protected(&self) -> BTreeSet<IpAddr> {
        protected(self.policy(), &self.facts)
    }

    /// Number of the endpoints' addresses and prefixes.
    #[must_use]
    pub fn addresses(&self) -> usize {
        let endpoints = self.policy().endpoints.values();
        endpoints.map(|endpoint| endpoint.addresses.len()).sum()
    }

    /// Whether some endpoint is bound to a VLAN.
    fn binds_vlans(&self) -> bool {
        let mut endpoints = self.policy().endpoints.values();
        endpoints.any(|endpoint| endpoint.binding.vlan.is_some())
    }
}

/// What is enforced at one moment.
pub struct View {
    /// Where the programs look at packets in.
    pub hook: Hook,
    /// When the agent started.
    pub started: Timestamp,
    /// Port on which endpoints prove who they are, if the agent is to look at proofs.
    pub enrolment: Option<u16>,
    /// The policy in force; `None` before the first.
    pub current: Option<Arc<Current>>,
    /// Set while the policy in force is on trial.
    pub trial: Option<Arc<Trial>>,
    /// The candidate that judges beside it, and only counts.
    pub trying: Option<Arc<Trying>>,
    /// Where the programs are attached.
    pub attachments: Vec<Attachment>,
    /// The host's interfaces, as they were followed last.
    pub interfaces: Arc<Interfaces>,
    /// Who has proven who it is, once proofs are looked at.
    pub registry: Option<Arc<Registry>>,
    /// When the kernel confirmed last that all programs are attached; `None` before the first time.
    pub verified: Option<Timestamp>,
    /// Names of interfaces that lead to the host's own guests.
    pub inside: Vec<String>,
    /// What the inner door does.
    pub door: DoorMode,
    /// Whether it is attached.
    pub door_open: bool,
    /// What break glass does.
    pub glass: Glass,
    /// What the enforcer has found wrong.
    pub(super) found: Vec<Problem>,
}

impl View {
    /// The policy to go back to, while the one in force is on trial.
    #[must_use]
    pub fn confirmed(&self) -> Option<&Current> {
        self.trial.as_deref().and_then(Trial::confirmed)
    }

    /// The policy in force, if there is an image of it to judge by.
    #[must_use]
    pub fn judging(&self) -> Option<&Arc<Current>> {
        let current = self.current.as_ref();
        current.filter(|current| !current.image.is_empty())
    }

    /// What is wrong or weaker than it should be.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.found.clone();
        let registry = self.registry.iter();
        let enrolment = registry.flat_map(|registry| registry.problems());
        problems.extend(enrolment.map(|problem| Kind::Enrolment.problem(problem)));
        let binds_vlans = self
            .current
            .as_ref()
            .is_some_and(|current| current.binds_vlans());
        for attachment in &self.attachments {
            let interface = &attachment.interface;
            if let (HookMode::XdpGeneric, Some(why)) = (attachment.mode, &attachment.degraded) {
                let problem = format!("`{interface}` is enforced in generic mode: {why}");
                problems.push(Kind::GenericMode.problem(problem));
            }
            // At the other hooks the kernel tells the tag.
            let hidden = self.interfaces.strips_vlan_tags(interface);
            let in_xdp = matches!(attachment.mode, HookMode::XdpNative | HookMode::XdpGeneric);
            if binds_vlans && hidden && in_xdp {
                let problem = format!(
                    "`{interface}` removes VLAN tags before XDP sees them, so endpoints bound to a \
                     VLAN cannot be told apart: run `ethtool -K {interface} rxvlan off`"
                );
                problems.push(Kind::VlanHidden.problem(problem));
            }
        }
        if self.current.is_none() {
            let problem = "there is no policy, so nothing is enforced";
            problems.push(Kind::Policy.problem(problem));
        }
        problems
    }
}

/// How much earlier than the agent the programs in the kernel may end a trial.
const KERNEL_IS_EARLIER: Duration = Duration::from_millis(500);

/// The latest view, and whether a change is under way that may already show in the kernel.
struct Posted {
    view: Arc<View>,
    changing: bool,
}

/// Where the enforcer posts what it enforces.
pub(super) struct Poster(watch::Sender<Posted>);

impl Poster {
    pub(super) fn new(view: View) -> Self {
        let view = Arc::new(view);
        let changing = false;
        Self(watch::Sender::new(Posted { view, changing }))
    }

    pub(super) fn board(&self) -> Board {
        Board(self.0.subscribe())
    }

    /// Posts what has come of a change, which ends with it.
    pub(super) fn post(&self, view: View) {
        self.0.send_modify(|posted| posted.view = Arc::new(view));
    }

    /// Says that a change is under way, until what is returned is dropped.
    pub(super) fn change(&self) -> Changing {
        let sender = self.0.clone();
        sender.send_modify(|posted| posted.changing = true);
        Changing(sender)
    }
}

/// A change that is under way; over when this is dropped, also by a panic.
pub(super) struct Changing(watch::Sender<Posted>);

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.send_modify(|posted| posted.changing = false);
    }
}

/// Where the latest view is found.
#[derive(Clone)]
pub struct Board(watch::Receiver<Posted>);

impl Board {
    /// What is enforced now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.borrow().view)
    }

    /// Whether the kernel has enforced what is in `view`, and nothing else, since that was taken.
    /// May say no for a moment longer than that is so.
    pub(super) fn still_shows(&self, view: &Arc<View>) -> bool {
        let posted = self.0.borrow();
        let trial = posted.view.trial.as_deref();
        let over = trial.is_some_and(|trial| trial.left() < KERNEL_IS_EARLIER);
        !posted.changing && !over && Arc::ptr_eq(&posted.view, view)
    }

    /// Waits until no change is under way, and none is overdue.
    pub(super) async fn settled(&mut self) {
        let settled = |posted: &Posted| {
            let trial = posted.view.trial.as_deref();
            !posted.changing && trial.is_none_or(|trial| trial.left() >= KERNEL_IS_EARLIER)
        };
        // Once the enforcer is gone, nothing changes any more.
        let _ = self.0.wait_for(settled).await;
    }
}
