//! Attaching programs to interfaces, and keeping them attached.
//!
//! A link that exists is updated in place, so that no packet passes between two programs.

use std::{error::Error, fs, io};

use aya::programs::{
    LinkOrder, TcAttachType, XdpMode,
    links::{FdLink, PinnedLink},
    tc::{SchedClassifierLink, TcAttachOptions},
    xdp::XdpLink,
};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::{info, warn};

use super::{
    Datapath, Hook, LoadError, Program, clsact,
    interface::{Carrier, Interfaces},
    load, owner,
    pins::{LinkPin, PinError},
};

/// How a program is attached.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookMode {
    /// XDP in the driver.
    XdpNative,
    /// XDP behind the driver: works everywhere, at a fraction of the speed.
    XdpGeneric,
    /// TCX ingress.
    Tcx,
    /// TCX egress.
    TcxEgress,
    /// A filter of the clsact qdisc, ingress.
    Clsact,
    /// A filter of the clsact qdisc, egress.
    ClsactEgress,
}

impl HookMode {
    const ALL: [Self; 6] = [
        Self::XdpNative,
        Self::XdpGeneric,
        Self::Tcx,
        Self::TcxEgress,
        Self::Clsact,
        Self::ClsactEgress,
    ];

    /// Name, as in pins and in what people read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpNative => "xdp-native",
            Self::XdpGeneric => "xdp-generic",
            Self::Tcx => "tcx",
            Self::TcxEgress => "tcx-egress",
            Self::Clsact => "clsact",
            Self::ClsactEgress => "clsact-egress",
        }
    }

    /// The mode with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether the program looks at packets out.
    #[must_use]
    pub const fn is_egress(self) -> bool {
        matches!(self, Self::TcxEgress | Self::ClsactEgress)
    }

    /// The program that is attached so.
    const fn program(self) -> Program {
        match self {
            Self::XdpNative | Self::XdpGeneric => Program::Xdp,
            Self::Tcx | Self::Clsact => Program::In,
            Self::TcxEgress | Self::ClsactEgress => Program::Out,
        }
    }

    const fn is_clsact(self) -> bool {
        matches!(self, Self::Clsact | Self::ClsactEgress)
    }

    /// The direction, if this is a filter of the clsact qdisc.
    pub(super) const fn clsact_direction(self) -> Option<TcAttachType> {
        if self.is_clsact() {
            Some(self.direction())
        } else {
            None
        }
    }

    const fn direction(self) -> TcAttachType {
        if self.is_egress() {
            TcAttachType::Egress
        } else {
            TcAttachType::Ingress
        }
    }
}

/// A program on an interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attachment {
    /// Name of the interface.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// How the program is attached.
    pub mode: HookMode,
    /// The name in the policy that led here, where it is another.
    pub via: Option<String>,
    /// Why this is not what was asked for, if it is not.
    pub degraded: Option<String>,
}

/// Why a program cannot be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The datapath lacks a program.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The pins cannot be used.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// Somebody else's program is there.
    #[error(
        "the XDP slot of `{interface}` is taken by {owner}. Detach that program, or set `hook: tcx` in agent.yaml: the same decision, made behind it"
    )]
    Taken {
        /// Name of the interface.
        interface: String,
        /// Whose program it is.
        owner: String,
    },
    /// The kernel refused.
    #[error("cannot attach to `{interface}`: {reason}")]
    Refused {
        /// Name of the interface.
        interface: String,
        /// Why.
        reason: String,
    },
}

impl Datapath {
    /// Attaches to every one of `carriers`; what is attached elsewhere stays.
    ///
    /// # Errors
    ///
    /// The first failure. What this call attached is detached again.
    pub fn attach(
        &mut self,
        carriers: &[Carrier],
        interfaces: &Interfaces,
    ) -> Result<Vec<Attachment>, AttachError> {
        let before = self.pins.pinned_links()?;
        let mut attachments = Vec::new();
        for carrier in carriers {
            match self.attach_carrier(carrier, interfaces, &before) {
                Ok(attached) => attachments.extend(attached),
                Err(error) => {
                    for pin in self.pins.pinned_links()? {
                        if !before.contains(&pin) {
                            self.release(pin, interfaces);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(attachments)
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

    /// Attaches to `carrier`, or to each of its members where it takes no native XDP itself.
    fn attach_carrier(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &[LinkPin],
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
            // From Linux 5.15, no member may have a program while the bond has one. This one has had
            // it since before it had members.
            Err(AttachError::Taken { .. }) if pinned.contains(&generic) => {
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
        pinned: &[LinkPin],
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

    /// Attaches both programs to `carrier`; the one for packets in first in the answer.
    fn attach_one(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &[LinkPin],
    ) -> Result<[Attachment; 2], AttachError> {
        // Out first: a connection whose opening was not seen would have no answer.
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
        pinned: &[LinkPin],
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

    /// Puts the program into the link that is pinned, if one of these modes is and lives.
    fn renewed(
        &mut self,
        carrier: &Carrier,
        modes: &[HookMode],
        interfaces: &Interfaces,
        pinned: &[LinkPin],
    ) -> Option<Attachment> {
        let there = |pin: &&LinkPin| pin.ifindex == carrier.index && modes.contains(&pin.mode);
        let pin = *pinned.iter().find(there)?;
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

    /// Puts this datapath's program into a link that is pinned; fails if the link is dead.
    fn renew(&mut self, pin: LinkPin, carrier: &Carrier) -> Result<(), Refusal> {
        if pin.mode.is_clsact() {
            return self.try_clsact(carrier, pin.mode);
        }
        let link = FdLink::from(PinnedLink::from_pin(self.pins.link(pin))?);
        // Out of the program again, which would keep the link of every renewal.
        let link = match pin.mode.program() {
            Program::Xdp => {
                let program = load::xdp(&mut self.ebpf)?;
                let id = program.attach_to_link(XdpLink::try_from(link)?)?;
                FdLink::try_from(program.take_link(id)?)?
            }
            program => {
                let program = load::classifier(&mut self.ebpf, program)?;
                let id = program.attach_to_link(SchedClassifierLink::try_from(link)?)?;
                FdLink::try_from(program.take_link(id)?)?
            }
        };
        self.links.insert(pin, link);
        Ok(())
    }

    fn attach_ingress_xdp(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &[LinkPin],
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
        let why = format!("the driver takes no native XDP ({})", refusal.reason);
        warn!(interface = carrier.name, why, "attached in generic mode");
        self.generic.insert(carrier.index, why.clone());
        Ok(attached(carrier, HookMode::XdpGeneric, Some(why)))
    }

    /// Attaches in the driver; `None` if that does not take programs.
    fn attach_native(
        &mut self,
        carrier: &Carrier,
        interfaces: &Interfaces,
        pinned: &[LinkPin],
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
        pinned: &[LinkPin],
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

    /// Attaches the XDP program and pins the link.
    fn try_xdp(
        &mut self,
        carrier: &Carrier,
        mode: HookMode,
        flags: XdpMode,
    ) -> Result<(), Refusal> {
        let program = load::xdp(&mut self.ebpf)?;
        let id = program.attach_to_if_index(carrier.index, flags)?;
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.hold(carrier, mode, link)
    }

    /// Pins a link, and holds it.
    fn hold(&mut self, carrier: &Carrier, mode: HookMode, link: FdLink) -> Result<(), Refusal> {
        let pin = LinkPin {
            mode,
            ifindex: carrier.index,
        };
        let link = link.pin(self.pins.link(pin))?;
        self.links.insert(pin, link.into());
        Ok(())
    }

    /// Attaches a classifier in front of every other, and pins the link.
    fn try_tcx(&mut self, carrier: &Carrier, mode: HookMode) -> Result<(), Refusal> {
        let program = load::classifier(&mut self.ebpf, mode.program())?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program.attach_with_options(&carrier.name, mode.direction(), options)?;
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.hold(carrier, mode, link)
    }

    /// Attaches a classifier to the clsact qdisc, and pins it as the sign of that.
    fn try_clsact(&mut self, carrier: &Carrier, mode: HookMode) -> Result<(), Refusal> {
        let path = self.pins.link(LinkPin {
            mode,
            ifindex: carrier.index,
        });
        let program = load::classifier(&mut self.ebpf, mode.program())?;
        clsact::attach(program, &carrier.name, mode.direction())?;
        if path.exists() {
            fs::remove_file(&path)?;
        }
        program.pin(path)?;
        Ok(())
    }

    /// Detaches what is pinned there.
    fn release(&mut self, pin: LinkPin, interfaces: &Interfaces) {
        self.links.remove(&pin);
        let name = interfaces
            .get(pin.ifindex)
            .map_or("(gone)", |interface| &interface.name);
        match self.pins.release(pin) {
            Ok(()) => info!(interface = name, mode = pin.mode.name(), "detached"),
            Err(error) => warn!(interface = name, %error, "cannot remove the pin of a link"),
        }
    }
}

/// The attachment of a program that was not there before.
fn attached(carrier: &Carrier, mode: HookMode, degraded: Option<String>) -> Attachment {
    info!(
        interface = carrier.name,
        mode = mode.name(),
        via = carrier.via,
        "attached"
    );
    attachment(carrier, mode, degraded)
}

/// The attachment of a program; `why` it is in generic mode, if it is and that is known.
fn attachment(carrier: &Carrier, mode: HookMode, why: Option<String>) -> Attachment {
    let before = || "the driver took no native XDP when this was attached".to_owned();
    let generic = mode == HookMode::XdpGeneric;
    Attachment {
        interface: carrier.name.clone(),
        ifindex: carrier.index,
        mode,
        via: carrier.via.clone(),
        degraded: generic.then(|| why.unwrap_or_else(before)),
    }
}

/// Why the kernel refused something, from whichever error type.
#[derive(Debug)]
struct Refusal {
    reason: String,
    errno: Option<i32>,
}

impl Refusal {
    /// Whether another program is attached.
    fn is_taken(&self) -> bool {
        [Errno::EBUSY, Errno::EEXIST]
            .iter()
            .any(|&taken| self.errno == Some(taken as i32))
    }

    /// The error that it is for the XDP slot of `carrier`.
    fn of(self, carrier: &Carrier, interfaces: &Interfaces) -> AttachError {
        let interface = carrier.name.clone();
        if self.is_taken() {
            let program = interfaces.get(carrier.index).and_then(|i| i.xdp_program);
            let owner = program.map_or_else(|| "another program".to_owned(), owner::describe);
            return AttachError::Taken { interface, owner };
        }
        AttachError::Refused {
            interface,
            reason: self.reason,
        }
    }
}

impl<E: Error + 'static> From<E> for Refusal {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut errno = None;
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                errno = io.raw_os_error();
            }
            source = error.source();
            if let Some(source) = source
                && !reason.contains(&source.to_string())
            {
                reason = format!("{reason}: {source}");
            }
        }
        Self { reason, errno }
    }
}
