//! Attaching programs to interfaces, and keeping them attached.
//!
//! A link that exists is updated in place, so that no packet passes between two programs.

use std::collections::BTreeSet;

use aya::programs::XdpMode;
use tracing::{info, warn};

use super::{
    AttachError, Datapath, Hook, HookMode,
    interface::{Carrier, Interfaces},
    pins::LinkPin,
};

/// A program on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// Name of the interface.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// How the program is attached.
    pub mode: HookMode,
    /// The name in the policy that resolved to this interface, if it is another.
    pub via: Option<String>,
    /// Why a slower mode than the desired one is used, if it is.
    pub degraded: Option<String>,
}

/// What is pinned before something is attached.
struct Pinned {
    pins: Vec<LinkPin>,
    /// Those that need no change: the kernel has them as they should be.
    live: BTreeSet<LinkPin>,
}

impl Datapath {
    fn pinned(&mut self) -> Result<Pinned, AttachError> {
        let pins = self.pins.pinned_links()?;
        // Where the kernel cannot be asked, everything is renewed.
        let live = self.live(&pins).unwrap_or_default();
        Ok(Pinned { pins, live })
    }

    /// Attaches to each of `carriers`; attachments to other interfaces stay.
    ///
    /// # Errors
    ///
    /// The first failure. What this call attached is detached again.
    pub fn attach(
        &mut self,
        carriers: &[Carrier],
        interfaces: &Interfaces,
    ) -> Result<Vec<Attachment>, AttachError> {
        let before = self.pinned()?;
        let mut attachments = Vec::new();
        for carrier in carriers {
            match self.attach_carrier(carrier, interfaces, &before) {
                Ok(attached) => attachments.extend(attached),
                Err(error) => {
                    for pin in self.pins.pinned_links()? {
                        if !before.pins.contains(&pin) {
                            self.release(pin, interfaces);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(attachments)
    }

    /// Attaches to each of `carriers`, whatever becomes of the others.
    ///
    /// Where it fails, what is among `before` and has not been detached by others stays.
    pub fn attach_each(
        &mut self,
        carriers: &[Carrier],
        interfaces: &Interfaces,
        before: &[Attachment],
    ) -> Result<(Vec<Attachment>, Vec<AttachError>), AttachError> {
        let pinned = self.pinned()?;
        let mut attachments = Vec::new();
        let mut errors = Vec::new();
        for carrier in carriers {
            match self.attach_carrier(carrier, interfaces, &pinned) {
                Ok(attached) => attachments.extend(attached),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok((attachments, errors));
        }
        for pin in self.pins.pinned_links()? {
            let is_it = |at: &&Attachment| at.ifindex == pin.ifindex && at.mode == pin.mode;
            if interfaces.get(pin.ifindex).is_none() {
                self.release(pin, interfaces);
            } else if !attachments.iter().any(|at| is_it(&at)) {
                attachments.extend(before.iter().find(is_it).cloned());
            }
        }
        Ok((attachments, errors))
    }

    /// Detaches from every interface that is not among `attachments`.
    pub fn release_others(
        &mut self,
        attachments: &[Attachment],
        interfaces: &Interfaces,
    ) -> Result<(), AttachError> {
        for pin in self.pins.pinned_links()? {
            let kept = attachments
                .iter()
                .any(|kept| kept.ifindex == pin.ifindex && kept.mode == pin.mode);
            if !kept {
                self.release(pin, interfaces);
            }
        }
        Ok(())
    }

    /// Attaches to `carrier`; to each of its members instead if it supports no native XDP itself.
    fn attach_carrier(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Vec<Attachment>, AttachError> {
        if carrier.members.is_empty() || self.hook == Hook::Tcx {
            return Ok(self.attach_one(carrier, interfaces, pinned)?.to_vec());
        }
        let out = self.attach_egress(carrier, interfaces, pinned)?;
        if let Some(into) = self.attach_native(carrier, interfaces, pinned)? {
            return Ok(vec![into, out]);
        }
        let generic = LinkPin {
            mode: HookMode::XdpGeneric,
            ifindex: carrier.index,
        };
        match self.attach_members(carrier, interfaces, pinned) {
            // From Linux 5.15 on, no member may have a program while the bond has one. This bond
            // got its program before it had members.
            Err(AttachError::Taken { .. }) if pinned.pins.contains(&generic) => {
                Ok(self.attach_one(carrier, interfaces, pinned)?.to_vec())
            }
            members => members,
        }
    }

    /// Attaches to each member of `carrier`.
    fn attach_members(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Vec<Attachment>, AttachError> {
        let mut attachments = Vec::new();
        for (index, name) in &carrier.members {
            let member = Carrier {
                index: *index,
                name: name.clone(),
                members: Vec::new(),
                via: Some(carrier.via.clone().unwrap_or_else(|| carrier.name.clone())),
            };
            attachments.extend(self.attach_one(&member, interfaces, pinned)?);
        }
        Ok(attachments)
    }

    /// Attaches both programs to `carrier`; returns ingress first.
    fn attach_one(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<[Attachment; 2], AttachError> {
        // Egress first: if it misses the opening of a connection, ingress drops the replies.
        let out = self.attach_egress(carrier, interfaces, pinned)?;
        let into = match self.hook {
            Hook::Xdp => self.attach_ingress_xdp(carrier, interfaces, pinned)?,
            Hook::Tcx => {
                let ingress = self.classifier_mode(false);
                self.attach_mode(carrier, ingress, interfaces, pinned)?
            }
        };
        Ok([into, out])
    }

    fn attach_egress(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Attachment, AttachError> {
        self.attach_mode(carrier, self.classifier_mode(true), interfaces, pinned)
    }

    /// How classifiers are attached in this kernel.
    const fn classifier_mode(&self, egress: bool) -> HookMode {
        match (self.features.tcx, egress) {
            (true, true) => HookMode::TcxEgress,
            (true, false) => HookMode::Tcx,
            (false, true) => HookMode::ClsactEgress,
            (false, false) => HookMode::Clsact,
        }
    }

    /// Replaces the program of the pinned link, if there is one of these `modes` and it is still
    /// alive.
    fn renewed(
        &mut self,
        carrier: &Carrier,
        modes: &[HookMode],
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Option<Attachment> {
        let there = |pin: &&LinkPin| pin.ifindex == carrier.index && modes.contains(&pin.mode);
        let pin = *pinned.pins.iter().find(there)?;
        if pinned.live.contains(&pin) {
            let why = self.generic.get(&carrier.index).cloned();
            return Some(attachment(carrier, pin.mode, why));
        }
        match self.renew(pin, carrier) {
            Ok(()) => {
                let why = self.generic.get(&carrier.index).cloned();
                Some(attachment(carrier, pin.mode, why))
            }
            Err(refusal) => {
                let reason = refusal.reason;
                warn!(
                    interface = carrier.name,
                    reason, "link is gone, attaching anew"
                );
                self.release(pin, interfaces);
                None
            }
        }
    }

    fn attach_ingress_xdp(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Attachment, AttachError> {
        let modes = [HookMode::XdpNative, HookMode::XdpGeneric];
        if let Some(attachment) = self.renewed(carrier, &modes, interfaces, pinned) {
            return Ok(attachment);
        }
        let refusal = match self.try_xdp(carrier, HookMode::XdpNative, XdpMode::Driver) {
            Ok(()) => return Ok(attached(carrier, HookMode::XdpNative, None)),
            Err(refusal) if refusal.is_taken() => return Err(refusal.of(carrier, interfaces)),
            Err(refusal) => refusal,
        };
        self.try_xdp(carrier, HookMode::XdpGeneric, XdpMode::Skb)
            .map_err(|refusal| refusal.of(carrier, interfaces))?;
        let why = format!("the driver supports no native XDP ({})", refusal.reason);
        warn!(interface = carrier.name, why, "attached in generic mode");
        self.generic.insert(carrier.index, why.clone());
        Ok(attached(carrier, HookMode::XdpGeneric, Some(why)))
    }

    /// Attaches in the driver; `None` if the driver supports no XDP.
    fn attach_native(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Option<Attachment>, AttachError> {
        let native = HookMode::XdpNative;
        if let Some(attachment) = self.renewed(carrier, &[native], interfaces, pinned) {
            return Ok(Some(attachment));
        }
        match self.try_xdp(carrier, native, XdpMode::Driver) {
            Ok(()) => Ok(Some(attached(carrier, native, None))),
            Err(refusal) if refusal.is_taken() => Err(refusal.of(carrier, interfaces)),
            Err(refusal) => {
                let (interface, reason) = (&carrier.name, refusal.reason);
                info!(interface, reason, "no native XDP, attaching to the members");
                Ok(None)
            }
        }
    }

    /// Attaches a classifier.
    fn attach_mode(
        &mut self,
        carrier: &Carrier,
        mode: HookMode,
        interfaces: &Interfaces,
        pinned: &Pinned,
    ) -> Result<Attachment, AttachError> {
        if let Some(attachment) = self.renewed(carrier, &[mode], interfaces, pinned) {
            return Ok(attachment);
        }
        let tried = if mode.is_clsact() {
            self.try_clsact(carrier, mode)
        } else {
            self.try_tcx(carrier, mode)
        };
        tried.map_err(|refusal| AttachError::Refused {
            interface: carrier.name.clone(),
            reason: refusal.reason,
        })?;
        Ok(attached(carrier, mode, None))
    }
}

/// The attachment of a program that was attached just now; logs it.
fn attached(carrier: &Carrier, mode: HookMode, degraded: Option<String>) -> Attachment {
    info!(
        interface = carrier.name,
        mode = mode.name(),
        via = carrier.via,
        "attached"
    );
    attachment(carrier, mode, degraded)
}

/// The attachment of a program. `why`: why it is in generic mode, if that is known.
fn attachment(carrier: &Carrier, mode: HookMode, why: Option<String>) -> Attachment {
    let before = || "the driver supported no native XDP when this was attached".to_owned();
    let generic = mode == HookMode::XdpGeneric;
    Attachment {
        interface: carrier.name.clone(),
        ifindex: carrier.index,
        mode,
        via: carrier.via.clone(),
        degraded: generic.then(|| why.unwrap_or_else(before)),
    }
}
