//! Links of programs to interfaces: creates, pins, updates and releases them.

use std::fs;

use aya::programs::{
    LinkOrder, XdpMode,
    links::{FdLink, PinnedLink},
    tc::{SchedClassifierLink, TcAttachOptions},
    xdp::XdpLink,
};
use tracing::{info, warn};

use super::{
    Datapath, HookMode, Program, clsact,
    interface::{Carrier, Interfaces},
    load,
    pins::{LinkPin, pinned_program},
    refusal::Refusal,
};

impl Datapath {
    /// Replaces the program of a pinned link by this datapath's; fails if the link is dead.
    pub(super) fn renew(&mut self, pin: LinkPin, carrier: &Carrier) -> Result<(), Refusal> {
        if pin.mode.is_clsact() {
            return self.try_clsact(carrier, pin.mode);
        }
        let link = FdLink::from(PinnedLink::from_pin(self.pins.link(pin))?);
        // Taken out of the program again, which would otherwise keep a link for each renewal.
        let link = match pin.mode.program() {
            Program::Xdp => {
                let program = load::xdp(&mut self.ebpf, self.role)?;
                let id = program.attach_to_link(XdpLink::try_from(link)?)?;
                FdLink::try_from(program.take_link(id)?)?
            }
            program => {
                let program = load::classifier(&mut self.ebpf, program, self.role)?;
                let id = program.attach_to_link(SchedClassifierLink::try_from(link)?)?;
                FdLink::try_from(program.take_link(id)?)?
            }
        };
        self.links.insert(pin, link);
        Ok(())
    }

    /// Attaches the XDP program and pins the link.
    pub(super) fn try_xdp(
        &mut self,
        carrier: &Carrier,
        mode: HookMode,
        flags: XdpMode,
    ) -> Result<(), Refusal> {
        let program = load::xdp(&mut self.ebpf, self.role)?;
        let id = program.attach_to_if_index(carrier.index, flags)?;
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.hold(carrier, mode, link)
    }

    /// Pins a link and keeps it open.
    fn hold(&mut self, carrier: &Carrier, mode: HookMode, link: FdLink) -> Result<(), Refusal> {
        let pin = LinkPin {
            mode,
            ifindex: carrier.index,
        };
        let link = link.pin(self.pins.link(pin))?;
        self.links.insert(pin, link.into());
        Ok(())
    }

    /// Attaches a TCX classifier before all others, and pins the link.
    pub(super) fn try_tcx(&mut self, carrier: &Carrier, mode: HookMode) -> Result<(), Refusal> {
        let program = load::classifier(&mut self.ebpf, mode.program(), self.role)?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program.attach_with_options(&carrier.name, mode.direction(), options)?;
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.hold(carrier, mode, link)
    }

    /// Attaches a classifier to the clsact qdisc, and pins the program to mark that.
    pub(super) fn try_clsact(&mut self, carrier: &Carrier, mode: HookMode) -> Result<(), Refusal> {
        let path = self.pins.link(LinkPin {
            mode,
            ifindex: carrier.index,
        });
        let before = pinned_program(&path);
        let program = load::classifier(&mut self.ebpf, mode.program(), self.role)?;
        clsact::attach(program, &carrier.name, mode.direction(), before)?;
        if path.exists() {
            fs::remove_file(&path)?;
        }
        program.pin(path)?;
        Ok(())
    }

    /// Detaches the program of this link and removes its pin; logs failures.
    pub(super) fn release(&mut self, pin: LinkPin, interfaces: &Interfaces) {
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
