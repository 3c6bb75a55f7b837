//! Explanation: answering questions about packets, twice: on the image in memory and in the kernel.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    sync::Arc,
};

use ipnet::IpNet;
use thiserror::Error;
use verdict::{
    counters::Direction,
    decision::{exempt, full},
    frame::transport::IpProtocol,
    host::Frame,
    image::line::Tables,
    reason::{Outcome, Reason, Verdict},
    state::flow::{Flows, State, key::CONNECTION, table::find},
};

use super::{Current, View};
use crate::{
    datapath::{
        Exempted, ExplainError, Explainer, Features, Hook, LOOPBACK, LoadError, Pins, Program,
        PublishError,
        flows::{FlowError, Snapshot, key},
        interface::Interfaces,
    },
    explain::{
        PacketError, Question, Subject, addresses, because, covering, endpoint, rule, to_hex,
        untouched, vlan_of,
    },
    image::RuleName,
    policy::protocol::Mac,
};

/// Why there is no explanation.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// There is nothing to judge by.
    #[error("there is no policy, so every packet passes. Apply one with `manoward policy apply`")]
    NoPolicy,
    /// The question makes no packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// No such interface.
    #[error("this host has no interface `{0}`")]
    Interface(String),
    /// No program looks at packets there.
    #[error(
        "no program is attached to `{0}`, so what passes there is judged only by the inner door, if there is one. Name it under `interfaces` in the policy; `manoward status` shows what is covered"
    )]
    Uncovered(String),
    /// The kernel's program cannot be asked.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel's program gave no answer.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The exemptions cannot be read.
    #[error(transparent)]
    Exemptions(#[from] PublishError),
    /// The flows cannot be read.
    #[error(transparent)]
    Flows(#[from] FlowError),
    /// Two answers.
    #[error(
        "host and kernel disagree about this packet: the host says {host:?}, the kernel says {kernel:?}. This is a defect of manoward: please report it with the frame {frame}"
    )]
    Disagreement {
        /// On the image in memory.
        host: Outcome,
        /// By the program in the kernel.
        kernel: Outcome,
        /// The frame in hexadecimal.
        frame: String,
    },
}

/// What the program in the kernel says about a packet that is explained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KernelSays {
    /// It decides as the host does.
    Agrees,
    /// It decides as the host does about this frame on the loopback interface: the kernel cannot be told
    /// of another one (before Linux 5.15).
    AgreesOnLoopback,
    /// Nothing: it runs no program on such a frame.
    NotAsked,
}

/// A verdict with what led to it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The verdict.
    pub outcome: Outcome,
    /// Reference point and service that govern the packet.
    pub rule: Option<RuleName>,
    /// Endpoint that it comes from, or goes to.
    pub endpoint: Option<String>,
    /// Role of the endpoint.
    pub role: Option<String>,
    /// Prefix of the endpoint that covers the peer's address.
    pub prefix: Option<IpNet>,
    /// A sentence.
    pub because: String,
    /// The frame that was judged, from the destination MAC address on.
    pub frame: Vec<u8>,
    /// Name of the interface that it was judged on.
    pub interface: Option<String>,
    /// What the program in the kernel says.
    pub kernel: KernelSays,
}

/// Twins of the programs in force, which are asked about packets. Each is loaded when it is first
/// asked, which takes the kernel a second.
pub struct Explainers {
    pins: Pins,
    hook: Hook,
    features: Features,
    loaded: BTreeMap<Program, Explainer>,
}

impl Explainers {
    /// For the programs pinned under `pins`; none is loaded yet.
    #[must_use]
    pub const fn new(pins: Pins, hook: Hook, features: Features) -> Self {
        Self {
            pins,
            hook,
            features,
            loaded: BTreeMap::new(),
        }
    }

    /// Explains what happens to the packet in `question` by the policy in `view`.
    ///
    /// # Errors
    ///
    /// [`AnswerError`]; a disagreement also where the kernel has got another policy than that in
    /// `view` meanwhile.
    pub fn explain(
        &mut self,
        view: &View,
        question: &Question,
    ) -> Result<Explanation, AnswerError> {
        let current = view.judging().ok_or(AnswerError::NoPolicy)?;
        let asked = question.interface.clone();
        let flows = Snapshot::open(&self.pins)?;
        let flows = flows.by(&current.image);
        let question = &of_open_connection(as_proven(question, view), &flows, &current.image);
        let (bytes, interface) = question.frame(current.policy())?;
        let direction = question.direction;
        let ends = match &question.subject {
            Subject::Packet(packet) => Some((packet.from, packet.to)),
            Subject::Frame(bytes) => addresses(bytes),
        };
        let local = ends.map(|(source, destination)| match direction {
            Direction::In => destination,
            Direction::Out => source,
        });
        let homes = local.and_then(|local| current.facts.homes.get(&local));
        let mut home = homes.into_iter().flatten().copied();
        let home = home.find(|&index| is_judged(view, index, direction));
        let ifindex = ifindex(interface.as_deref(), home, view)?;
        if let Some(name) = &asked
            && !is_judged(view, ifindex, direction)
        {
            return Err(AnswerError::Uncovered(name.clone()));
        }
        let exempted = Exempted::read(&self.pins)?;
        let judge = |ifindex| {
            let frame = Frame {
                bytes: &bytes,
                ifindex,
                vlan: None,
            };
            let outcome = match direction {
                Direction::In => full::inbound(&frame, &current.image, &flows),
                Direction::Out => full::outbound(&frame, &current.image, &flows),
            };
            exempt::considered(outcome, || exempt::frame(&frame, &exempted, direction))
        };
        let (host, on_loopback) = (judge(ifindex), judge(LOOPBACK));
        let kernel = match self.compare(&bytes, ifindex, direction, host) {
            Ok(()) => KernelSays::Agrees,
            Err(AnswerError::Explain(ExplainError::Interface)) => {
                self.compare(&bytes, LOOPBACK, direction, on_loopback)?;
                KernelSays::AgreesOnLoopback
            }
            Err(AnswerError::Explain(ExplainError::Length(_) | ExplainError::Refused)) => {
                KernelSays::NotAsked
            }
            Err(error) => return Err(error),
        };
        let interface = name_of(&view.interfaces, ifindex);
        let mut why = None;
        if host.reason() == Reason::Unprotected && direction == Direction::In {
            let frame = Frame {
                bytes: &bytes,
                ifindex,
                vlan: None,
            };
            why = untouched(&current.facts, &frame, local, flows.groups_at_sockets);
        }
        let explained = explanation(host, question, bytes, current);
        Ok(Explanation {
            interface,
            kernel,
            because: why.unwrap_or(explained.because),
            ..explained
        })
    }

    /// Fails unless the program in the kernel says the same as the `host`.
    fn compare(
        &mut self,
        frame: &[u8],
        ifindex: u32,
        direction: Direction,
        host: Outcome,
    ) -> Result<(), AnswerError> {
        let kernel = self.ask_kernel(frame, ifindex, direction)?;
        if kernel == host {
            return Ok(());
        }
        Err(AnswerError::Disagreement {
            host,
            kernel,
            frame: to_hex(frame),
        })
    }

    fn ask_kernel(
        &mut self,
        frame: &[u8],
        ifindex: u32,
        direction: Direction,
    ) -> Result<Outcome, AnswerError> {
        let program = match direction {
            Direction::In => self.hook.program(),
            Direction::Out => Program::Out,
        };
        let explainer = match self.loaded.entry(program) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(none) => {
                none.insert(Explainer::load(&self.pins, program, self.features)?)
            }
        };
        Ok(explainer.outcome(frame, ifindex)?)
    }
}

/// The question, with what it leaves open taken from the lease of the sender, if it holds one.
fn as_proven(question: &Question, view: &View) -> Question {
    let mut question = question.clone();
    if let Subject::Packet(packet) = &mut question.subject
        && question.direction == Direction::In
        && let Some(origin) = view
            .registry
            .as_ref()
            .and_then(|registry| registry.origin_of(packet.from))
    {
        packet.mac.get_or_insert(Mac::from_word(origin.mac).0);
        packet.vlan = packet.vlan.or_else(|| vlan_of(origin.tags()));
        let port = || name_of(&view.interfaces, origin.ifindex());
        question.interface = question.interface.or_else(port);
    }
    question
}

/// The question about the next segment of its connection, if the host has one open between these ports:
/// a SYN would be no part of it.
fn of_open_connection<F: Flows, T: Tables>(
    mut question: Question,
    flows: &F,
    tables: &T,
) -> Question {
    if let Subject::Packet(packet) = &mut question.subject
        && packet.protocol == IpProtocol::TCP.0
        && let Some(port) = packet.port
    {
        let (from, to) = (
            SocketAddr::new(packet.from, packet.source_port),
            SocketAddr::new(packet.to, port),
        );
        let (local, remote) = match question.direction {
            Direction::In => (to, from),
            Direction::Out => (from, to),
        };
        if let Some(key) = key(CONNECTION, packet.protocol, local, remote)
            && let Ok(Some(slot)) = find(flows, tables, &key, flows.now())
            && slot.tag().state() == State::TcpEstablished.code()
        {
            packet.mid_stream = Some(slot.local_number());
        }
    }
    question
}

/// Whether a program looks at packets of this direction on the interface, or on all of a bond's ports.
fn is_judged(view: &View, ifindex: u32, direction: Direction) -> bool {
    let has = |index: u32| {
        let is_out = direction == Direction::Out;
        let mut attachments = view.attachments.iter();
        attachments.any(|at| at.ifindex == index && at.mode.is_egress() == is_out)
    };
    let ports = view.interfaces.bond_ports(ifindex);
    has(ifindex) || (!ports.is_empty() && ports.iter().all(|&port| has(port)))
}

fn name_of(interfaces: &Interfaces, ifindex: u32) -> Option<String> {
    Some(interfaces.get(ifindex)?.name.clone())
}

/// Index of the interface that a packet arrives on: the one asked for, that of the host's address, or the
/// first attached.
fn ifindex(interface: Option<&str>, home: Option<u32>, view: &View) -> Result<u32, AnswerError> {
    let Some(name) = interface else {
        let first = view.attachments.first();
        return Ok(home.or_else(|| first.map(|at| at.ifindex)).unwrap_or(0));
    };
    // A packet for a VLAN device or a bridge arrives on what it lies on.
    let carriers = view.interfaces.resolve(name);
    let first = carriers
        .ok()
        .and_then(|carriers| carriers.first().map(|c| c.index));
    first.ok_or_else(|| AnswerError::Interface(name.to_owned()))
}

/// What can be said about `outcome` before the kernel was asked.
fn explanation(
    outcome: Outcome,
    question: &Question,
    frame: Vec<u8>,
    current: &Arc<Current>,
) -> Explanation {
    let (policy, numbers) = (current.policy(), current.numbers());
    let direction = question.direction;
    let name = endpoint(numbers, outcome.endpoint());
    let ends = match &question.subject {
        Subject::Packet(packet) => Some((packet.from, packet.to)),
        Subject::Frame(bytes) => addresses(bytes),
    };
    let peer = ends.map(|(source, destination)| match direction {
        Direction::In => source,
        Direction::Out => destination,
    });
    let found = peer.and_then(|peer| covering(policy, peer));
    let governed = outcome.rule() != 0 || outcome.verdict() == Verdict::Drop;
    Explanation {
        outcome,
        rule: rule(numbers, outcome.rule()).cloned(),
        endpoint: name.map(str::to_owned),
        role: name.and_then(|name| Some(policy.endpoints.get(name)?.roles.to_string())),
        prefix: found
            .filter(|_| governed && name.is_some())
            .map(|found| found.prefix),
        because: because(outcome, direction, policy, numbers),
        frame,
        interface: None,
        kernel: KernelSays::NotAsked,
    }
}
