//! Failures of the control API: each error with its status and its code.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::api::{Failure, Report};
use crate::{
    datapath::{CounterError, PinError},
    enforcer::{AnswerError, ApplyError, FlowQueryError},
    policy::PolicyError,
};

/// What a handler gives.
pub type Answer<T> = Result<T, Failed>;

/// A request that failed.
#[derive(Debug)]
pub struct Failed {
    status: StatusCode,
    failure: Box<Failure>,
}

impl Failed {
    fn new(status: StatusCode, code: &str, message: String) -> Self {
        Self {
            status,
            failure: Box::new(Failure {
                message,
                code: code.to_owned(),
                report: None,
            }),
        }
    }

    /// Something that should not happen.
    #[must_use]
    pub fn internal(message: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            message.to_owned(),
        )
    }

    /// There is nothing to show.
    #[must_use]
    pub fn no_policy() -> Self {
        let message = "there is no policy yet. Apply one with `manoward policy apply`";
        Self::new(StatusCode::CONFLICT, "no-policy", message.to_owned())
    }

    /// There are no leases.
    #[must_use]
    pub fn no_enrolment() -> Self {
        let message = "this agent gives no leases: `enrolment` is not set in agent.yaml";
        Self::new(StatusCode::CONFLICT, "no-enrolment", message.to_owned())
    }

    /// The policy has no such endpoint that shows a certificate.
    #[must_use]
    pub fn no_such_endpoint(name: &str) -> Self {
        let message = format!(
            "the policy has no endpoint `{name}` that shows a certificate. `manoward endpoints` lists all"
        );
        Self::new(StatusCode::NOT_FOUND, "no-such-endpoint", message)
    }

    /// No such request.
    #[must_use]
    pub fn unknown_path() -> Self {
        let message = "the control API has no such request; its paths begin with /v1/";
        Self::new(StatusCode::NOT_FOUND, "bad-request", message.to_owned())
    }
}

/// A caller who may only read.
#[must_use]
pub fn not_allowed(what: &str) -> Failed {
    let message = format!("only root may {what}. Run the command with sudo");
    Failed::new(StatusCode::FORBIDDEN, "not-allowed", message)
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.status, Json(*self.failure)).into_response()
    }
}

/// The report that consists of the mistakes of one policy.
#[must_use]
pub fn report(error: &PolicyError) -> Report {
    Report {
        valid: false,
        mistakes: error.mistakes().to_vec(),
        mistake_count: error.mistakes().len() + error.more(),
        lints: Vec::new(),
    }
}

impl From<ApplyError> for Failed {
    fn from(error: ApplyError) -> Self {
        let (status, code) = match &error {
            ApplyError::Policy(_) | ApplyError::Interface(_) | ApplyError::Compile(_) => {
                (StatusCode::BAD_REQUEST, "invalid-policy")
            }
            ApplyError::NoEnrolment(_) | ApplyError::EnrolmentPort(_) => {
                (StatusCode::CONFLICT, "no-enrolment")
            }
            ApplyError::Stale { .. } => (StatusCode::CONFLICT, "stale-serial"),
            ApplyError::CutsSession { .. } => (StatusCode::CONFLICT, "cuts-session"),
            ApplyError::Attach(_) => (StatusCode::CONFLICT, "cannot-attach"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let report = match &error {
            ApplyError::Policy(error) => Some(report(error)),
            _ => None,
        };
        let mut failed = Self::new(status, code, error.to_string());
        failed.failure.report = report;
        failed
    }
}

impl From<AnswerError> for Failed {
    fn from(error: AnswerError) -> Self {
        let (status, code) = match &error {
            AnswerError::NoPolicy => (StatusCode::CONFLICT, "no-policy"),
            AnswerError::Disagreement { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "disagreement"),
            AnswerError::Load(_) | AnswerError::Explain(_) | AnswerError::Flows(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
            _ => (StatusCode::BAD_REQUEST, "bad-request"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<CounterError> for Failed {
    fn from(error: CounterError) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<FlowQueryError> for Failed {
    fn from(error: FlowQueryError) -> Self {
        let (status, code) = match &error {
            FlowQueryError::NoPolicy => (StatusCode::CONFLICT, "no-policy"),
            FlowQueryError::Flows(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            _ => (StatusCode::BAD_REQUEST, "bad-request"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<PinError> for Failed {
    fn from(error: PinError) -> Self {
        Self::internal(&error.to_string())
    }
}
