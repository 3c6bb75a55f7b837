//! Answering questions about packets, twice: on the image in memory and in the kernel.

use std::collections::btree_map::Entry;

use thiserror::Error;
use verdict::{
    counters::Direction,
    decision::full,
    host::Frame,
    reason::{Outcome, Verdict},
};

use super::{Current, Enforcer};
use crate::{
    control::api::{Explanation, Kernel, Question, Way},
    datapath::{
        ExplainError, Explainer, LOOPBACK, LoadError, Program,
        flows::{FlowError, Snapshot},
    },
    explain::{
        PacketError, addresses, because, covering, direction, endpoint, fate, frame, rule, to_hex,
        vlan_text,
    },
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
    /// The kernel's program cannot be asked.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel's program gave no answer.
    #[error(transparent)]
    Explain(#[from] ExplainError),
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

impl Enforcer {
    /// Explains what happens to the packet in `question`.
    pub fn explain(&mut self, question: &Question) -> Result<Explanation, AnswerError> {
        let current = self
            .current
            .as_ref()
            .filter(|current| !current.image.is_empty());
        let current = current.ok_or(AnswerError::NoPolicy)?;
        let question = &self.as_proven(question);
        let (bytes, interface) = frame(question, &current.validated.policy)?;
        let ifindex = self.ifindex(interface.as_deref())?;
        let direction = direction(question);
        let flows = Snapshot::open(self.datapath.pins())?;
        let flows = flows.by(&current.image);
        let judge = |ifindex| {
            let frame = Frame {
                bytes: &bytes,
                ifindex,
                vlan: None,
            };
            match direction {
                Direction::In => full::inbound(&frame, &current.image, &flows),
                Direction::Out => full::outbound(&frame, &current.image, &flows),
            }
        };
        let (host, on_loopback) = (judge(ifindex), judge(LOOPBACK));
        let kernel = match self.compare(&bytes, ifindex, direction, host) {
            Ok(()) => Kernel::Agrees,
            Err(AnswerError::Explain(ExplainError::Interface)) => {
                self.compare(&bytes, LOOPBACK, direction, on_loopback)?;
                Kernel::AgreesOnLoopback
            }
            Err(AnswerError::Explain(ExplainError::Length(_) | ExplainError::Refused)) => {
                Kernel::NotAsked
            }
            Err(error) => return Err(error),
        };
        let current = self.current.as_ref().ok_or(AnswerError::NoPolicy)?;
        let mut explanation = explanation(host, direction, question, &bytes, current);
        explanation.frame = to_hex(&bytes);
        explanation.interface = self.interfaces.get(ifindex).map(|found| found.name.clone());
        explanation.kernel = kernel;
        Ok(explanation)
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

    /// The question, with what it leaves open taken from the lease of the sender, if it holds one.
    fn as_proven(&self, question: &Question) -> Question {
        let mut question = question.clone();
        if let Question::Packet {
            from,
            mac,
            vlan,
            interface,
            direction: Way::In,
            ..
        } = &mut question
            && let Some(origin) = self
                .registry()
                .and_then(|registry| registry.origin_of(*from))
        {
            mac.get_or_insert_with(|| Mac::from_word(origin.mac).to_string());
            *vlan = vlan.take().or_else(|| vlan_text(origin.tags()));
            let port = self.interfaces.get(origin.ifindex());
            *interface = interface.take().or_else(|| Some(port?.name.clone()));
        }
        question
    }

    fn ask_kernel(
        &mut self,
        frame: &[u8],
        ifindex: u32,
        direction: Direction,
    ) -> Result<Outcome, AnswerError> {
        let program = match direction {
            Direction::In => self.config.hook.program(),
            Direction::Out => Program::Out,
        };
        let explainer = match self.explainers.entry(program) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(none) => none.insert(Explainer::load(
                self.datapath.pins(),
                program,
                self.features,
            )?),
        };
        Ok(explainer.outcome(frame, ifindex)?)
    }

    /// Index of the interface that a packet arrives on: the one asked for, or the first attached.
    fn ifindex(&self, interface: Option<&str>) -> Result<u32, AnswerError> {
        match interface {
            Some(name) => {
                // A packet for a VLAN device or a bridge arrives on what it lies on.
                let carriers = self.interfaces.resolve(name);
                let first = carriers
                    .ok()
                    .and_then(|carriers| carriers.first().map(|c| c.index));
                first.ok_or_else(|| AnswerError::Interface(name.to_owned()))
            }
            None => Ok(self
                .attachments
                .first()
                .map_or(0, |attachment| attachment.ifindex)),
        }
    }
}

/// What can be said about `outcome`.
fn explanation(
    outcome: Outcome,
    direction: Direction,
    question: &Question,
    frame: &[u8],
    current: &Current,
) -> Explanation {
    let policy = &current.validated.policy;
    let numbers = &current.stored.numbers;
    let rule = rule(numbers, outcome.rule());
    let name = endpoint(numbers, outcome.endpoint());
    let peer = match (question, direction) {
        (Question::Packet { from, .. }, Direction::In) => Some(*from),
        (Question::Packet { to, .. }, Direction::Out) => Some(*to),
        (Question::Frame { .. }, Direction::In) => addresses(frame).map(|(source, _)| source),
        (Question::Frame { .. }, Direction::Out) => {
            addresses(frame).map(|(_, destination)| destination)
        }
    };
    let found = peer.and_then(|peer| covering(policy, peer));
    let governed = outcome.rule() != 0 || outcome.verdict() == Verdict::Drop;
    Explanation {
        fate: fate(outcome),
        reason: outcome.reason().name().to_owned(),
        reference_point: rule.map(|rule| rule.reference_point.clone()),
        service: rule.map(|rule| rule.service.clone()),
        endpoint: name.map(str::to_owned),
        role: name.and_then(|name| Some(policy.endpoints.get(name)?.role.clone())),
        prefix: found
            .filter(|_| governed && name.is_some())
            .map(|found| found.prefix.to_string()),
        because: because(outcome, direction, policy, numbers),
        frame: String::new(),
        interface: None,
        kernel: Kernel::default(),
    }
}
