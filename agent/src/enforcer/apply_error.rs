//! Why a policy is not applied.

use thiserror::Error;
use verdict::layout::BEYOND;

use super::trial::TERMS;
use crate::{
    datapath::{AttachError, CounterError, PublishError, interface::InterfaceError},
    image::CompileError,
    policy::PolicyError,
    signature::SignatureError,
    store::StoreError,
};

/// Why a policy was not applied. The one before is still in force.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It has mistakes.
    #[error(transparent)]
    Policy(#[from] Box<PolicyError>),
    /// It is not signed by somebody who is trusted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is older than the one in force, or as old and different.
    #[error(
        "the policy has serial {candidate}, and serial {current} is in force. Give it a higher serial"
    )]
    Stale {
        /// Its serial.
        candidate: u64,
        /// The serial in force.
        current: u64,
    },
    /// It would cut the session that it is applied from, or one that is open when it is applied by itself.
    #[error(
        "the policy would cut the session {session}: {because}. Admit that session, or apply the policy with --force"
    )]
    CutsSession {
        /// The session.
        session: String,
        /// Why its packets would be dropped.
        because: String,
    },
    /// Endpoints are to show certificates to an agent that looks at none.
    #[error(
        "endpoint `{0}` shows a certificate, and this agent looks at none. Set `enrolment` in agent.yaml"
    )]
    NoEnrolment(String),
    /// Endpoints are let to another port than the one that the agent listens on.
    #[error(
        "the policy's service `enrolment` has no UDP port {0}, where this agent listens. Make the service and `enrolment.port` in agent.yaml agree"
    )]
    EnrolmentPort(u16),
    /// An interface cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// It cannot be compiled for this host.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It cannot be kept on disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be confirmed in this time.
    #[error("a policy can be confirmed within {shortest} s to 24 h, and not within {seconds} s", shortest = TERMS.start())]
    Term {
        /// That time.
        seconds: u64,
    },
    /// The policy on trial names too many interfaces that the confirmed one does not.
    #[error(
        "the policy names {0} interfaces that the one in force does not, and at most {BEYOND} can be tried at once. Apply it in steps, or without --confirm-within"
    )]
    TooManyInterfaces(usize),
    /// A program cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The kernel did not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Counters cannot be cleared for new names.
    #[error(transparent)]
    Counters(#[from] CounterError),
}
