//! The exit codes of all commands.

use std::{io, process::ExitCode};

use manoward::{
    control::client::ClientError,
    datapath::PinError,
    enforcer::{ApplyError, StartError},
    policy::PolicyError,
};
use manoward_pki::PkiError;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Success; `explain`: the packet passes.
    Success = 0,
    /// The operation failed.
    Failed = 1,
    /// Wrong usage: the arguments are invalid.
    Usage = 2,
    /// The policy has mistakes.
    InvalidPolicy = 3,
    /// The agent does not answer.
    NoAgent = 4,
    /// The agent refused, to protect the host: stale serial, the caller's session would be cut, a
    /// signature is missing, a confirmation proves nothing, or break glass is not asked for at the console.
    Refused = 5,
    /// The caller may not do this.
    NotPermitted = 6,
    /// `explain`: the packet is dropped.
    Dropped = 10,
    /// `explain`: kernel and agent come to different verdicts.
    Disagreement = 11,
    /// `status`: protected, but not everywhere, or weaker or slower than it should be.
    Degraded = 20,
    /// `status`: nothing is enforced.
    NotEnforcing = 21,
    /// `status`: the kernel enforces, and no agent watches over it.
    Unattended = 22,
}

/// The exit codes as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0   success
  1   the operation failed
  2   wrong usage
  3   the policy has mistakes
  4   the agent does not answer
  5   refused: the serial is stale, the session would be cut (--force), a
      signature is missing, a confirmation has not come through the new policy,
      or a break-glass door is not opened from the console
  6   not permitted: this needs root

Exit codes of explain:
  0   the packet passes
  10  it is dropped
  11  kernel and agent disagree about it

Exit codes of status:
  0   healthy: enforced everywhere, and confirmed by the kernel within seconds
  20  degraded: not everywhere, or weaker or slower than it should be
  21  not enforcing
  22  the kernel enforces, but the agent does not answer
  4   neither";

impl Exit {
    /// Its name, where a failure is told as JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::InvalidPolicy => "invalid-policy",
            Self::NoAgent => "no-agent",
            Self::Refused => "refused",
            Self::NotPermitted => "not-permitted",
            Self::Dropped => "dropped",
            Self::Disagreement => "disagreement",
            Self::Degraded => "degraded",
            Self::NotEnforcing => "not-enforcing",
            Self::Unattended => "unattended",
        }
    }

    /// The code that an error leads to.
    pub fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(|cause| {
                if let Some(error) = cause.downcast_ref::<ClientError>() {
                    return Some(of_client(error));
                }
                if let Some(PinError::Io { source, .. }) = cause.downcast_ref() {
                    return of_io(source);
                }
                if let Some(PkiError::Request { .. }) = cause.downcast_ref() {
                    return Some(Self::Usage);
                }
                if cause.downcast_ref().is_some_and(refuses_policy) || cause.is::<PolicyError>() {
                    return Some(Self::InvalidPolicy);
                }
                cause.downcast_ref().and_then(of_io)
            })
            .unwrap_or(Self::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whether the reader has closed the output, which is no failure: `manoward stats | head -1`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Whether the agent did not start because its policy cannot be used.
const fn refuses_policy(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Policy(_)
            | StartError::Apply(
                ApplyError::Policy(_) | ApplyError::Interface(_) | ApplyError::Compile(_)
            )
    )
}

fn of_client(error: &ClientError) -> Exit {
    match error {
        ClientError::Denied { .. } => Exit::NotPermitted,
        ClientError::Missing { .. }
        | ClientError::Refused { .. }
        | ClientError::Connect { .. }
        | ClientError::Crowded { .. }
        | ClientError::Silent { .. }
        | ClientError::Broken { .. } => Exit::NoAgent,
        ClientError::Unintelligible { .. } => Exit::Failed,
        ClientError::Failed(failure) => of_code(&failure.code),
    }
}

/// The exit code for a [`Failure`](manoward_api::Failure)'s code.
fn of_code(code: &str) -> Exit {
    match code {
        "invalid-policy" => Exit::InvalidPolicy,
        "stale-serial" | "cuts-session" | "unproven" | "unsigned" | "not-at-console" => {
            Exit::Refused
        }
        "not-allowed" | "too-large" => Exit::NotPermitted,
        "busy" => Exit::NoAgent,
        "disagreement" => Exit::Disagreement,
        _ => Exit::Failed,
    }
}

fn of_io(error: &io::Error) -> Option<Exit> {
    (error.kind() == io::ErrorKind::PermissionDenied).then_some(Exit::NotPermitted)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};
    use manoward_api::Failure;

    use super::*;

    fn failed(code: &str) -> anyhow::Error {
        ClientError::Failed(Box::new(Failure {
            message: "no".into(),
            code: code.into(),
            report: None,
        }))
        .into()
    }

    #[test]
    fn every_failure_of_the_api_has_a_code() {
        assert_eq!(Exit::of(&failed("invalid-policy")), Exit::InvalidPolicy);
        assert_eq!(Exit::of(&failed("stale-serial")), Exit::Refused);
        assert_eq!(Exit::of(&failed("cuts-session")), Exit::Refused);
        assert_eq!(Exit::of(&failed("unproven")), Exit::Refused);
        assert_eq!(Exit::of(&failed("unsigned")), Exit::Refused);
        assert_eq!(Exit::of(&failed("not-at-console")), Exit::Refused);
        assert_eq!(Exit::of(&failed("not-allowed")), Exit::NotPermitted);
        assert_eq!(Exit::of(&failed("too-large")), Exit::NotPermitted);
        assert_eq!(Exit::of(&failed("busy")), Exit::NoAgent);
        assert_eq!(Exit::of(&failed("disagreement")), Exit::Disagreement);
        assert_eq!(Exit::of(&failed("bad-request")), Exit::Failed);
        assert_eq!(Exit::of(&failed("internal")), Exit::Failed);
    }

    #[test]
    fn an_agent_that_does_not_answer_is_found_under_context() {
        let socket = "/run/x.sock".into();
        let error = anyhow::Error::from(ClientError::Missing { socket }).context("status");
        assert_eq!(Exit::of(&error), Exit::NoAgent);
    }

    #[test]
    fn missing_rights_are_told_from_other_failures() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Err::<(), _>(denied).context("cannot read").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::NotPermitted);
        let pins = PinError::Io {
            operation: "remove",
            path: "/sys/fs/bpf/manoward".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        assert_eq!(Exit::of(&pins.into()), Exit::NotPermitted);
        assert_eq!(Exit::of(&anyhow!("else")), Exit::Failed);
    }

    #[test]
    fn a_certificate_that_should_not_be_is_wrong_usage() {
        let error = PkiError::Request {
            reason: "no".into(),
            remedy: "other".into(),
        };
        assert_eq!(Exit::of(&error.into()), Exit::Usage);
        let error = PkiError::Exists {
            path: "/ca.pem".into(),
            remedy: "move it",
        };
        assert_eq!(Exit::of(&error.into()), Exit::Failed);
    }

    #[test]
    fn a_gone_reader_is_recognised() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(pipe).context("show")));
        assert!(!is_broken_pipe(&anyhow!("else")));
    }

    #[test]
    fn help_names_every_code() {
        for code in [0, 1, 2, 3, 4, 5, 6, 10, 11, 20, 21, 22] {
            let line = format!("  {code:<3} ");
            assert!(HELP.contains(&line), "{code}");
        }
    }
}
