//! Which of the host's interfaces are covered, as far as the kernel has confirmed it.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::View;
use crate::{
    config::DoorMode,
    datapath::{Attachment, HookMode},
};

/// What was confirmed longer ago is no longer known: three looks of the agent.
const FRESH: SignedDuration = SignedDuration::from_secs(6);

/// How an interface over which packets reach the host is covered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coverage {
    /// Name of the interface.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// The protected addresses that it has.
    pub addresses: Vec<IpAddr>,
    /// How packets in are judged; of several interfaces below it, the first.
    pub ingress: Option<HookMode>,
    /// How packets out are judged.
    pub egress: Option<HookMode>,
    /// Whether this leads to the host's own guests, and is left alone.
    pub inside: bool,
    /// Whether only the inner door judges here.
    pub at_door: bool,
    /// Why packets pass unjudged here; `None` if they do not.
    pub exposed: Option<String>,
}

impl View {
    /// Whether everything that is attached was confirmed by the kernel within seconds.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        let now = Timestamp::now();
        let age = self.verified.map(|when| now.duration_since(when));
        age.is_some_and(|age| age <= FRESH)
    }

    /// A row for each interface that is up, or has a program.
    #[must_use]
    pub fn coverage(&self) -> Vec<Coverage> {
        let Some(current) = &self.current else {
            return Vec::new();
        };
        let protected = current.protected();
        let entrances = self.interfaces.entrances();
        let rows = entrances.map(|(interface, carriers)| {
            let addresses = self.interfaces.addresses_of(interface.index);
            let ingress = self.first(&carriers, |mode| !mode.is_egress());
            let egress = self.first(&carriers, HookMode::is_egress);
            let inside = self.inside.contains(&interface.name);
            let exposed = self.exposure(&carriers).filter(|_| !inside);
            let at_door = self.door_open
                && self.door == DoorMode::Enforce
                && exposed.is_some()
                && self.is_verified();
            Coverage {
                interface: interface.name.clone(),
                ifindex: interface.index,
                addresses: addresses.filter(|it| protected.contains(it)).collect(),
                ingress,
                egress,
                inside,
                at_door,
                exposed: exposed.filter(|_| !at_door),
            }
        });
        rows.collect()
    }

    /// Protected addresses that no interface has: a guest's, or missing.
    #[must_use]
    pub fn elsewhere(&self) -> Vec<IpAddr> {
        let Some(current) = &self.current else {
            return Vec::new();
        };
        let here: Vec<IpAddr> = current.facts.addresses.clone();
        let protected = current.protected().into_iter();
        protected.filter(|it| !here.contains(it)).collect()
    }

    fn first(
        &self,
        carriers: &[(u32, String, Vec<u32>)],
        of: impl Fn(HookMode) -> bool,
    ) -> Option<HookMode> {
        let on = |at: &&Attachment| {
            let mut carriers = carriers.iter();
            of(at.mode)
                && carriers
                    .any(|(index, _, ports)| *index == at.ifindex || ports.contains(&at.ifindex))
        };
        self.attachments.iter().find(on).map(|at| at.mode)
    }

    /// Why packets pass unjudged over one of `carriers`: an index, a name, and the indexes of a bond's
    /// ports.
    fn exposure(&self, carriers: &[(u32, String, Vec<u32>)]) -> Option<String> {
        for (index, name, ports) in carriers {
            let covered = |egress: bool| {
                let has = |index: u32| {
                    let mut attachments = self.attachments.iter();
                    attachments.any(|at| at.ifindex == index && at.mode.is_egress() == egress)
                };
                has(*index) || (!ports.is_empty() && ports.iter().all(|&port| has(port)))
            };
            let why = match (covered(false), covered(true)) {
                (true, true) => continue,
                (false, false) => "no program is attached to",
                (false, true) => "no ingress program is attached to",
                (true, false) => "no egress program is attached to",
            };
            return Some(format!("{why} `{name}`"));
        }
        if carriers.is_empty() {
            return None;
        }
        let unverified = || "the kernel has not confirmed it for some seconds".to_owned();
        (!self.is_verified()).then(unverified)
    }
}
