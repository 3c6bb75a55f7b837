//! The policy in force, and what becomes of another one.

use std::time::Duration;

use manoward_api::{
    Access, Applied, Change, ChangeKind, Difference, Lint, Mistake, Mode, Object, Outbound,
    PatchedAddress, PolicyText, Report, Session, Way,
};

use crate::{
    caller::Connection,
    enforcer,
    policy::{self, diff, patch::Patch},
    store::Stored,
};

/// The text of a policy.
pub fn text(stored: &Stored) -> PolicyText {
    PolicyText {
        serial: stored.identity.serial,
        file: stored.file.clone(),
        applied: stored.applied.clone(),
        text: stored.text.clone(),
    }
}

impl From<enforcer::Review> for Report {
    fn from(review: enforcer::Review) -> Self {
        Self {
            valid: review.mistake_count == 0,
            mistakes: converted(review.mistakes),
            mistake_count: review.mistake_count,
            lints: converted(review.lints),
            apply_refuses: review.apply_refuses,
        }
    }
}

impl From<enforcer::Difference> for Difference {
    fn from(difference: enforcer::Difference) -> Self {
        Self {
            from: difference.from,
            to: difference.to,
            changes: converted(difference.changes),
            gained: converted(difference.gained),
            lost: converted(difference.lost),
            apply_refuses: difference.apply_refuses,
        }
    }
}

impl From<policy::Access> for Access {
    fn from(access: policy::Access) -> Self {
        Self {
            direction: if access.inbound { Way::In } else { Way::Out },
            endpoint: access.endpoint,
            service: access.service,
            ports: access.ports,
            addresses: access.addresses,
            count: access.count,
        }
    }
}

impl From<enforcer::Applied> for Applied {
    fn from(applied: enforcer::Applied) -> Self {
        Self {
            serial: applied.serial,
            changes: converted(applied.changes),
            lints: converted(applied.lints),
            addresses: applied.addresses,
            image_bytes: applied.image_bytes,
            read_ms: milliseconds(applied.read),
            compile_ms: milliseconds(applied.compile),
            publish_ms: milliseconds(applied.publish),
            confirm_within_seconds: applied.confirm_within.map(|within| within.as_secs()),
            replaces: applied.replaces,
            goes_back_to: applied.goes_back_to,
        }
    }
}

fn converted<F, T: From<F>>(values: Vec<F>) -> Vec<T> {
    values.into_iter().map(T::from).collect()
}

const fn milliseconds(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl From<Session> for Connection {
    fn from(session: Session) -> Self {
        Self {
            peer: session.peer,
            local: session.local,
        }
    }
}

impl From<policy::Mistake> for Mistake {
    fn from(mistake: policy::Mistake) -> Self {
        Self {
            file: None,
            line: mistake.line,
            column: mistake.column,
            span: mistake.span,
            message: mistake.message,
            remedy: mistake.remedy,
        }
    }
}

impl From<Mistake> for policy::Mistake {
    fn from(mistake: Mistake) -> Self {
        Self {
            line: mistake.line,
            column: mistake.column,
            span: mistake.span,
            message: mistake.message,
            remedy: mistake.remedy,
        }
    }
}

impl From<policy::Lint> for Lint {
    fn from(lint: policy::Lint) -> Self {
        Self {
            file: None,
            code: lint.code.as_str().to_owned(),
            object: lint.object.into(),
            subject: lint.subject,
            message: lint.message,
            remedy: lint.remedy,
            line: lint.line,
            column: lint.column,
        }
    }
}

impl From<policy::Change> for Change {
    fn from(change: policy::Change) -> Self {
        Self {
            kind: change.kind.into(),
            object: change.object.into(),
            name: change.name,
            detail: change.detail,
        }
    }
}

impl From<diff::ChangeKind> for ChangeKind {
    fn from(kind: diff::ChangeKind) -> Self {
        match kind {
            diff::ChangeKind::Added => Self::Added,
            diff::ChangeKind::Removed => Self::Removed,
            diff::ChangeKind::Changed => Self::Changed,
        }
    }
}

impl From<policy::Object> for Object {
    fn from(object: policy::Object) -> Self {
        match object {
            policy::Object::Policy => Self::Policy,
            policy::Object::FlowTimeout => Self::FlowTimeout,
            policy::Object::Interface => Self::Interface,
            policy::Object::Protect => Self::Protect,
            policy::Object::Role => Self::Role,
            policy::Object::Endpoint => Self::Endpoint,
            policy::Object::ReferencePoint => Self::ReferencePoint,
            policy::Object::Service => Self::Service,
            policy::Object::BreakGlass => Self::BreakGlass,
        }
    }
}

impl From<policy::Mode> for Mode {
    fn from(mode: policy::Mode) -> Self {
        match mode {
            policy::Mode::Enforce => Self::Enforce,
            policy::Mode::Audit => Self::Audit,
        }
    }
}

impl From<policy::Outbound> for Outbound {
    fn from(outbound: policy::Outbound) -> Self {
        match outbound {
            policy::Outbound::Enforce => Self::Enforce,
            policy::Outbound::Audit => Self::Audit,
            policy::Outbound::Any => Self::Any,
        }
    }
}

/// A change of addresses.
pub fn patch(add: Vec<PatchedAddress>, remove: Vec<PatchedAddress>) -> Patch {
    let entries = |all: Vec<PatchedAddress>| {
        let all = all.into_iter();
        all.map(|it| (it.endpoint, it.address)).collect()
    };
    Patch {
        add: entries(add),
        remove: entries(remove),
    }
}
