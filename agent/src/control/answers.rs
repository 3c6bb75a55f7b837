//! Failures of the control API: each error with its code, and the status that goes with it.

use std::time::Duration;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use manoward_api::{Failure, Report};
use tracing::warn;

use super::wire::QueryError;
use crate::{
    datapath::{CounterError, PinError, interface::InterfaceError},
    enforcer::{
        AnswerError, ApplyError, BreakGlassError, ConfirmError, ListError, PatchPolicyError,
        ReportError, Review, RollBackError, TryError,
    },
    explain::PacketError,
    store::StoreError,
    worker::Panicked,
};

/// What a handler gives.
pub type Answer<T> = Result<T, Failed>;

/// Lists each kind of failure with what it is called and the status that it is answered with.
macro_rules! codes {
    ($($kind:ident = $name:literal, $status:ident;)*) => {
        /// What kind of failure.
        #[derive(Clone, Copy, Debug)]
        enum Code {
            $($kind,)*
        }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind),*];

            const fn named(self) -> (&'static str, StatusCode) {
                match self {
                    $(Self::$kind => ($name, StatusCode::$status),)*
                }
            }
        }
    };
}

codes! {
    InvalidPolicy = "invalid-policy", BAD_REQUEST;
    BadRequest = "bad-request", BAD_REQUEST;
    NotAllowed = "not-allowed", FORBIDDEN;
    TooLarge = "too-large", PAYLOAD_TOO_LARGE;
    TooSlow = "too-slow", REQUEST_TIMEOUT;
    Busy = "busy", SERVICE_UNAVAILABLE;
    UnknownPath = "bad-request", NOT_FOUND;
    NoSuchEndpoint = "no-such-endpoint", NOT_FOUND;
    NoSuchSerial = "no-such-serial", NOT_FOUND;
    NoPolicy = "no-policy", CONFLICT;
    NoEnrolment = "no-enrolment", CONFLICT;
    Unsigned = "unsigned", CONFLICT;
    StaleSerial = "stale-serial", CONFLICT;
    CutsSession = "cuts-session", CONFLICT;
    NothingOnTrial = "nothing-on-trial", CONFLICT;
    NothingTried = "nothing-tried", CONFLICT;
    Unproven = "unproven", CONFLICT;
    NotAtConsole = "not-at-console", CONFLICT;
    Uncovered = "uncovered", CONFLICT;
    CannotAttach = "cannot-attach", CONFLICT;
    Disagreement = "disagreement", INTERNAL_SERVER_ERROR;
    Internal = "internal", INTERNAL_SERVER_ERROR;
}

/// A request that failed.
#[derive(Debug)]
pub struct Failed {
    status: StatusCode,
    failure: Box<Failure>,
}

impl Failed {
    fn new(code: Code, message: impl Into<String>) -> Self {
        let (name, status) = code.named();
        Self {
            status,
            failure: Box::new(Failure {
                message: message.into(),
                code: name.to_owned(),
                report: None,
            }),
        }
    }

    /// Code and status of every failure.
    #[cfg(test)]
    pub fn all() -> Vec<(&'static str, StatusCode)> {
        Code::ALL.iter().map(|code| code.named()).collect()
    }

    /// There is nothing to show.
    #[must_use]
    pub fn no_policy() -> Self {
        let message = "there is no policy yet. Apply one with `manoward policy apply`";
        Self::new(Code::NoPolicy, message)
    }

    /// There are no leases.
    #[must_use]
    pub fn no_enrolment() -> Self {
        let message = "this agent gives no leases: `enrolment` is not set in agent.yaml";
        Self::new(Code::NoEnrolment, message)
    }

    /// The policy has no such endpoint that shows a certificate.
    #[must_use]
    pub fn no_such_endpoint(name: &str) -> Self {
        let message = format!(
            "the policy has no endpoint `{name}` that shows a certificate. `manoward endpoints` lists all"
        );
        Self::new(Code::NoSuchEndpoint, message)
    }

    /// No policy of this serial is kept.
    #[must_use]
    pub fn no_such_serial(serial: u64) -> Self {
        RollBackError::NoSuchSerial(serial).into()
    }

    /// A request of more than `most` bytes.
    #[must_use]
    pub fn too_large(most: usize, is_root: bool) -> Self {
        let mib = most >> 20;
        let remedy = if is_root {
            "No policy needs more"
        } else {
            "Run the command with sudo: those of root may be larger"
        };
        let message = format!("the request has more than {mib} MiB. {remedy}");
        Self::new(Code::TooLarge, message)
    }

    /// A request that is not sent to its end within `time`.
    #[must_use]
    pub fn too_slow(time: Duration) -> Self {
        let message = format!("the request was not complete within {} s", time.as_secs());
        Self::new(Code::TooSlow, message)
    }

    /// A request that ended too early.
    #[must_use]
    pub fn unread(why: &str) -> Self {
        Self::new(
            Code::BadRequest,
            format!("the request was not complete: {why}"),
        )
    }

    /// Too many connections.
    #[must_use]
    pub fn busy() -> Self {
        let message = "too many connections to the agent are open. Try again in a minute, or with sudo: root has places of its own";
        Self::new(Code::Busy, message)
    }

    /// The failure as it is sent. It holds text only, of which JSON can always be made.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.failure).unwrap_or_default()
    }

    /// No such request.
    #[must_use]
    pub fn unknown_path() -> Self {
        let message = "the control API has no such request; its paths begin with /v1/";
        Self::new(Code::UnknownPath, message)
    }

    /// A caller who may only read.
    #[must_use]
    pub fn not_allowed(what: &str) -> Self {
        let message = format!("only root may {what}. Run the command with sudo");
        Self::new(Code::NotAllowed, message)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.status, Json(*self.failure)).into_response()
    }
}

impl From<ApplyError> for Failed {
    fn from(error: ApplyError) -> Self {
        let code = match &error {
            ApplyError::Policy(_) | ApplyError::Interface(_) | ApplyError::Compile(_) => {
                Code::InvalidPolicy
            }
            ApplyError::Term { .. } => Code::BadRequest,
            ApplyError::NoEnrolment(_) | ApplyError::EnrolmentPort(_) => Code::NoEnrolment,
            ApplyError::Signature(_) => Code::Unsigned,
            ApplyError::Stale { .. } => Code::StaleSerial,
            ApplyError::CutsSession { .. } => Code::CutsSession,
            ApplyError::Attach(_) | ApplyError::TooManyInterfaces(_) => Code::CannotAttach,
            ApplyError::Store(_) | ApplyError::Publish(_) | ApplyError::Counters(_) => {
                Code::Internal
            }
        };
        let mut failed = Self::new(code, error.to_string());
        if let ApplyError::Policy(error) = &error {
            failed.failure.report = Some(Report::from(Review::from(&**error)));
        }
        failed
    }
}

impl From<ConfirmError> for Failed {
    fn from(error: ConfirmError) -> Self {
        let code = match &error {
            ConfirmError::NothingOnTrial => Code::NothingOnTrial,
            ConfirmError::Unproven(_) => Code::Unproven,
            ConfirmError::Store(_) | ConfirmError::Publish(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TryError> for Failed {
    fn from(error: TryError) -> Self {
        match error {
            TryError::Apply(error) => error.into(),
            TryError::Store(error) => error.into(),
            TryError::NoPolicy => Self::new(Code::NoPolicy, error.to_string()),
            TryError::NothingTried => Self::new(Code::NothingTried, error.to_string()),
            TryError::Shadow(_) | TryError::Load(_) | TryError::Door(_) => {
                Self::new(Code::Internal, error.to_string())
            }
        }
    }
}

impl From<ReportError> for Failed {
    fn from(error: ReportError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<BreakGlassError> for Failed {
    fn from(error: BreakGlassError) -> Self {
        let code = match &error {
            BreakGlassError::NotAtConsole => Code::NotAtConsole,
            BreakGlassError::Store(_) | BreakGlassError::Publish(_) => Code::Internal,
            _ => Code::BadRequest,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PatchPolicyError> for Failed {
    fn from(error: PatchPolicyError) -> Self {
        match error {
            PatchPolicyError::NoPolicy => Self::no_policy(),
            PatchPolicyError::Patch(error) => Self::new(Code::BadRequest, error.to_string()),
            PatchPolicyError::Apply(error) => error.into(),
        }
    }
}

impl From<RollBackError> for Failed {
    fn from(error: RollBackError) -> Self {
        match error {
            RollBackError::Apply(error) => error.into(),
            RollBackError::Store(error) => error.into(),
            RollBackError::NoSuchSerial(_) | RollBackError::NothingBefore => {
                Self::new(Code::NoSuchSerial, error.to_string())
            }
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<AnswerError> for Failed {
    fn from(error: AnswerError) -> Self {
        let code = match &error {
            AnswerError::NoPolicy => Code::NoPolicy,
            AnswerError::Packet(_) | AnswerError::Interface(_) => Code::BadRequest,
            AnswerError::Uncovered(_) => Code::Uncovered,
            AnswerError::Disagreement { .. } => Code::Disagreement,
            AnswerError::Load(_)
            | AnswerError::Explain(_)
            | AnswerError::Exemptions(_)
            | AnswerError::Flows(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PacketError> for Failed {
    fn from(error: PacketError) -> Self {
        Self::new(Code::BadRequest, error.to_string())
    }
}

impl From<QueryError> for Failed {
    fn from(error: QueryError) -> Self {
        Self::new(Code::BadRequest, error.to_string())
    }
}

impl From<ListError> for Failed {
    fn from(error: ListError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<CounterError> for Failed {
    fn from(error: CounterError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<PinError> for Failed {
    fn from(error: PinError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

/// The host's interfaces cannot be read; what a policy says about them is an [`ApplyError`].
impl From<InterfaceError> for Failed {
    fn from(error: InterfaceError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<Panicked> for Failed {
    fn from(error: Panicked) -> Self {
        warn!(%error, "a request was not answered");
        Self::new(Code::Internal, error.to_string())
    }
}
