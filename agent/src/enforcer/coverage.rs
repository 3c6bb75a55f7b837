//! Which of the host's interfaces are covered, as far as the kernel has confirmed it.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::View;
use crate::{
    config::DoorMode,
    datapath::{Attachment, HookMode, interface::Carrier},
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
    /// Whether it looks as if it led to guests, and is not left alone.
    pub seems_inside: bool,
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
            let inside = self.inside.iter().any(|name| interface.is_called(name));
            let beside = self.interfaces.is_beside(interface.index, current.policy());
            let beside = beside.then(|| "`vlans` in the policy leaves its VLAN out".to_owned());
            let exposed = beside.or_else(|| self.exposure(&carriers));
            let exposed = exposed.filter(|_| !inside);
            let leads_inside = self.interfaces.seems_to_lead_to_guests(interface);
            let seems_inside = exposed.is_some() && leads_inside;
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
                seems_inside,
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

    fn first(&self, carriers: &[Carrier], of: impl Fn(HookMode) -> bool) -> Option<HookMode> {
        let on = |at: &&Attachment| {
            let is_on = |carrier: &Carrier| {
                let mut members = carrier.members.iter();
                carrier.index == at.ifindex || members.any(|member| member.0 == at.ifindex)
            };
            of(at.mode) && carriers.iter().any(is_on)
        };
        self.attachments.iter().find(on).map(|at| at.mode)
    }

    /// Why packets pass unjudged over one of `carriers`.
    fn exposure(&self, carriers: &[Carrier]) -> Option<String> {
        if let Some(why) = lacking(&self.attachments, carriers) {
            return Some(why);
        }
        let unverified = || "the kernel has not confirmed it for some seconds".to_owned();
        (!carriers.is_empty() && !self.is_verified()).then(unverified)
    }
}

/// What one of `carriers` lacks of the two programs, of which a bond has one at all of its ports, or at
/// itself.
pub(super) fn lacking(attachments: &[Attachment], carriers: &[Carrier]) -> Option<String> {
    let has = |index: u32, egress: bool| {
        let mut attachments = attachments.iter();
        attachments.any(|at| at.ifindex == index && at.mode.is_egress() == egress)
    };
    carriers.iter().find_map(|carrier| {
        let covered = |egress: bool| {
            let ports = &carrier.members;
            has(carrier.index, egress)
                || (!ports.is_empty() && ports.iter().all(|port| has(port.0, egress)))
        };
        let what = match (covered(false), covered(true)) {
            (true, true) => return None,
            (false, false) => "no program is attached to",
            (false, true) => "no ingress program is attached to",
            (true, false) => "no egress program is attached to",
        };
        Some(format!("{what} `{}`", carrier.name))
    })
}
