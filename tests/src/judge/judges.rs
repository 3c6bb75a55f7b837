//! One policy in force twice: in the kernel, and on the host from the same image in memory.
//!
//! [`Judges`] asks host and kernel (by `BPF_PROG_TEST_RUN`) about a frame, and fails unless all
//! outcomes are equal.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use manoward::datapath::flow_control;
use manoward::datapath::flows::{self, Snapshot};
use manoward::datapath::{
    Datapath, Exempted, Explainer, Hook, Pins, Program, check_kernel, flow_sets,
};
use manoward::explain::to_hex;
use manoward::image::{Facts, Image, Numbers, compile};
use manoward::policy::Policy;
use verdict::counters::Direction;
use verdict::decision::{exempt, full};
use verdict::host::Frame;
use verdict::reason::Outcome;
use verdict::state::exemption::Exemption;

use super::facts::{ARRIVAL, facts, read};
use super::pool::{Pooled, pool};
use super::ruling::Ruling;
use crate::machine::namespace::Namespace;
use crate::net::packet::Packet;

/// Flows that the table of a test holds.
const FLOWS: u32 = 1024;

/// Where the maps are pinned, in the namespace's own BPF file system.
const PINS: &str = "/sys/fs/bpf/manoward";

/// The programs in the kernel and the decision on the host, with one policy in force.
pub struct Judges {
    image: Image,
    numbers: Numbers,
    datapath: Datapath,
    xdp: Explainer,
    tcx: Explainer,
    out: Explainer,
    flows: Snapshot,
    exempted: Exempted,
    namespace: Namespace,
}

impl Judges {
    /// Judges of a policy of this text, taken from the pool: loading the programs takes a second.
    pub fn of(text: &str) -> Result<Pooled> {
        Self::with(&read(text)?, &facts())
    }

    /// Judges of a policy for a host with these facts.
    pub fn with(policy: &Policy, facts: &Facts) -> Result<Pooled> {
        let pooled = pool().pop();
        let mut judges = match pooled {
            Some(judges) => judges,
            None => Self::load()?,
        };
        judges.numbers = Numbers::default();
        judges.forget_flows()?;
        judges.exempt(&[])?;
        judges.publish(policy, facts)?;
        Ok(Pooled::from(judges))
    }

    /// Newly loaded judges of a policy of this text.
    pub fn alone(text: &str) -> Result<Self> {
        let mut judges = Self::load()?;
        judges.publish(&read(text)?, &facts())?;
        Ok(judges)
    }

    /// Loads the programs. No policy is in force yet.
    pub fn load() -> Result<Self> {
        let namespace = Namespace::new("judges")?;
        let pins = Pins::new(Path::new(PINS));
        let features = check_kernel()?;
        let (datapath, [xdp, tcx, out], flows) = namespace.enter(|| -> Result<_> {
            let datapath = Datapath::open(pins.clone(), Hook::Xdp, features, Some(FLOWS))?;
            let twin = |program| Explainer::rehearsing(&pins, program, features);
            let twins = [twin(Program::Xdp)?, twin(Program::In)?, twin(Program::Out)?];
            Ok((datapath, twins, no_flows(&pins)?))
        })??;
        Ok(Self {
            image: Image::empty(),
            numbers: Numbers::default(),
            datapath,
            xdp,
            tcx,
            out,
            flows,
            exempted: Exempted::default(),
            namespace,
        })
    }

    /// Replaces the policy in force.
    pub fn publish(&mut self, policy: &Policy, facts: &Facts) -> Result<()> {
        self.numbers = number(&self.numbers, policy)?;
        self.image = compile(policy, facts, &self.numbers)?;
        self.datapath.publish(&self.image)?;
        Ok(())
    }

    /// Forgets every flow, in the kernel and on the host.
    pub fn forget_flows(&mut self) -> Result<()> {
        self.namespace.enter(|| -> Result<_> {
            self.datapath.forget_flows()?;
            self.flows = no_flows(&Pins::new(Path::new(PINS)))?;
            Ok(())
        })?
    }

    /// Has exactly these exemptions hold.
    pub fn exempt(&mut self, exemptions: &[Exemption]) -> Result<()> {
        self.namespace.enter(|| -> Result<_> {
            self.datapath.exempt(exemptions)?;
            self.exempted = Exempted::read(&Pins::new(Path::new(PINS)))?;
            Ok(())
        })?
    }

    /// Lets TCP connections be taken over mid-stream for so many seconds.
    pub fn adopt_for(&mut self, seconds: u32) -> Result<()> {
        self.namespace.enter(|| -> Result<_> {
            self.datapath.adopt_for(seconds)?;
            self.flows
                .tell(flow_control::read(&Pins::new(Path::new(PINS)))?);
            Ok(())
        })?
    }

    /// The image in force.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The numbers of rules and endpoints.
    #[must_use]
    pub const fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The namespace whose BPF file system holds the pins.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where the maps are pinned.
    #[must_use]
    pub fn pins(&self) -> Pins {
        Pins::new(Path::new(PINS))
    }

    /// The outcomes of the XDP and the TCX program, not compared with the host's.
    pub fn programs(&mut self, bytes: &[u8]) -> Result<[Outcome; 2]> {
        Ok([self.xdp.outcome(bytes, 0)?, self.tcx.outcome(bytes, 0)?])
    }

    /// The outcome that all agree on. Fails with the frame in hexadecimal if they do not.
    pub fn outcome(&mut self, bytes: &[u8]) -> Result<Outcome> {
        let frame = Frame {
            bytes,
            ifindex: ARRIVAL,
            vlan: None,
        };
        self.flows.at(flows::now()?);
        let here = full::inbound(&frame, &self.image, &self.flows.by(&self.image));
        let here = self.considered(here, &frame, Direction::In);
        let explainers = [("xdp", &mut self.xdp), ("tcx", &mut self.tcx)];
        let asked = if runs_at_tcx(bytes) { 2 } else { 1 };
        for (hook, explainer) in explainers.into_iter().take(asked) {
            let there = explainer
                .outcome(bytes, 0)
                .with_context(|| format!("asking {hook} about {}", to_hex(bytes)))?;
            ensure!(
                here == there,
                "the host says {here:?}, {hook} says {there:?} about {}",
                to_hex(bytes)
            );
        }
        Ok(here)
    }

    fn considered(&self, outcome: Outcome, frame: &Frame<'_>, direction: Direction) -> Outcome {
        exempt::considered(outcome, || exempt::frame(frame, &self.exempted, direction))
    }

    /// The outcome on egress that all agree on. Fails with the frame in hexadecimal if they do not.
    pub fn outcome_out(&mut self, bytes: &[u8]) -> Result<Outcome> {
        let frame = Frame {
            bytes,
            ifindex: ARRIVAL,
            vlan: None,
        };
        self.flows.at(flows::now()?);
        let here = full::outbound(&frame, &self.image, &self.flows.by(&self.image));
        let here = self.considered(here, &frame, Direction::Out);
        if runs_at_tcx(bytes) {
            let there = self
                .out
                .outcome(bytes, 0)
                .with_context(|| format!("asking about {} on its way out", to_hex(bytes)))?;
            ensure!(
                here == there,
                "the host says {here:?}, the kernel says {there:?} about {} on its way out",
                to_hex(bytes)
            );
        }
        Ok(here)
    }

    /// The outcome that all agree on, in the policy's words.
    pub fn ruling(&mut self, packet: &Packet) -> Result<Ruling> {
        let outcome = self.outcome(&packet.build())?;
        self.named(outcome)
    }

    /// Checks what becomes of a packet that comes in.
    pub fn expect(&mut self, packet: &Packet, expected: impl Into<Ruling>) -> Result<()> {
        let bytes = packet.build();
        let outcome = self.outcome(&bytes)?;
        self.agrees(outcome, &expected.into())
            .with_context(|| format!("about {}", to_hex(&bytes)))
    }

    /// Checks what becomes of a packet that goes out.
    pub fn expect_out(&mut self, packet: &Packet, expected: impl Into<Ruling>) -> Result<()> {
        let bytes = packet.build();
        let outcome = self.outcome_out(&bytes)?;
        self.agrees(outcome, &expected.into())
            .with_context(|| format!("about {} on its way out", to_hex(&bytes)))
    }

    fn agrees(&self, outcome: Outcome, expected: &Ruling) -> Result<()> {
        let ruling = self.named(outcome)?;
        ensure!(
            ruling == *expected,
            "expected `{expected}`, but all say `{ruling}`"
        );
        Ok(())
    }

    fn named(&self, outcome: Outcome) -> Result<Ruling> {
        Ruling::new(outcome, &self.numbers)
            .ok_or_else(|| anyhow!("{outcome:?} names what the policy does not have"))
    }
}

/// A table like the kernel's, without flows.
fn no_flows(pins: &Pins) -> Result<Snapshot> {
    let control = flow_control::read(pins)?;
    Ok(Snapshot::empty(flow_sets(FLOWS), control, flows::now()?))
}

/// Whether the kernel runs a program on this frame at TCX. It needs a payload, and a whole IP
/// header where the EtherType announces IP.
fn runs_at_tcx(frame: &[u8]) -> bool {
    let payload = frame.len().saturating_sub(14);
    match frame.get(12..14) {
        Some([0x08, 0x00]) => payload >= 20,
        Some([0x86, 0xdd]) => payload >= 40,
        _ => payload > 0,
    }
}

fn number(before: &Numbers, policy: &Policy) -> Result<Numbers> {
    before
        .carried_to(policy)
        .context("more names than there are numbers")
}
