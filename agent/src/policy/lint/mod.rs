//! Remarks on a valid policy: what is probably not intended, or should be known before it is
//! applied.
//!
//! Each remark has a stable code, so that a pipeline can accept some and refuse others.

mod coverage;
mod host;
mod outbound;
mod usage;

#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use serde::Serialize;

use super::{At, Object, Policy, Positions, Validated};

/// What a remark is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// An address has a role of its own and lies in a prefix of an endpoint with another role.
    TwoRoles,
    /// An address lies in a prefix of the same endpoint.
    RedundantAddress,
    /// An endpoint covers so many addresses that it identifies nobody.
    CoversEveryone,
    /// Endpoints have a role that no reference point names.
    UnusedRole,
    /// A reference point names a role that no endpoint has.
    RoleWithoutEndpoints,
    /// The file defines a service that no reference point names.
    UnusedService,
    /// A service that anyone on the path can read and alter is admitted inbound.
    PlaintextService,
    /// The file defines a service of the catalogue differently.
    CatalogueRedefined,
    /// Two reference points give a role the same service.
    AdmittedTwice,
    /// A mode is audit, or `outbound` is: violations pass.
    NotEnforced,
    /// Nobody may connect to the host.
    NothingAdmitted,
    /// The host may open no connection.
    NothingOutbound,
    /// Connections that the host opens are dropped although the policy's mode is audit.
    OutboundEnforced,
    /// The host may open connections to anyone.
    OutboundAny,
    /// A timeout is so short that flows of live connections expire.
    ShortTimeout,
    /// The host does not have a protected address.
    AbsentAddress,
    /// The host does not have an interface that the policy names.
    AbsentInterface,
    /// A service is used against the direction in which it usually is.
    UnusualDirection,
    /// Nobody may use SSH to the host.
    NoSsh,
    /// A protected address is on an interface where nothing is enforced.
    UnenforcedInterface,
    /// A router lies between the host and an endpoint that shows a certificate.
    RoutedLease,
    /// A remark is accepted that is not made.
    NeedlessAcceptance,
}

/// A remark that is not made, as somebody has accepted it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Its code.
    pub code: Code,
    /// What it is about; `None` for all of this code.
    pub subject: Option<String>,
    /// Where that is written.
    pub at: At,
}

impl Accepted {
    fn covers(&self, lint: &Lint) -> bool {
        let subject = self.subject.as_ref();
        self.code == lint.code && subject.is_none_or(|subject| *subject == lint.subject)
    }
}

impl Code {
    /// Every code, in the order in which they are documented.
    pub const ALL: &[Self] = &[
        Self::TwoRoles,
        Self::RedundantAddress,
        Self::CoversEveryone,
        Self::UnusedRole,
        Self::RoleWithoutEndpoints,
        Self::UnusedService,
        Self::PlaintextService,
        Self::CatalogueRedefined,
        Self::AdmittedTwice,
        Self::NotEnforced,
        Self::NothingAdmitted,
        Self::NothingOutbound,
        Self::OutboundEnforced,
        Self::OutboundAny,
        Self::ShortTimeout,
        Self::AbsentAddress,
        Self::AbsentInterface,
        Self::UnusualDirection,
        Self::NoSsh,
        Self::UnenforcedInterface,
        Self::RoutedLease,
        Self::NeedlessAcceptance,
    ];

    /// Whether only a host can give rise to the remark.
    const fn is_about_host(self) -> bool {
        matches!(
            self,
            Self::AbsentAddress | Self::AbsentInterface | Self::UnenforcedInterface
        )
    }

    /// The code's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TwoRoles => "two-roles",
            Self::RedundantAddress => "redundant-address",
            Self::CoversEveryone => "covers-everyone",
            Self::UnusedRole => "unused-role",
            Self::RoleWithoutEndpoints => "role-without-endpoints",
            Self::UnusedService => "unused-service",
            Self::PlaintextService => "plaintext-service",
            Self::CatalogueRedefined => "catalogue-redefined",
            Self::AdmittedTwice => "admitted-twice",
            Self::NotEnforced => "not-enforced",
            Self::NothingAdmitted => "nothing-admitted",
            Self::NothingOutbound => "nothing-outbound",
            Self::OutboundEnforced => "outbound-enforced",
            Self::OutboundAny => "outbound-any",
            Self::ShortTimeout => "short-timeout",
            Self::AbsentAddress => "absent-address",
            Self::AbsentInterface => "absent-interface",
            Self::UnusualDirection => "unusual-direction",
            Self::NoSsh => "no-ssh",
            Self::UnenforcedInterface => "unenforced-interface",
            Self::RoutedLease => "routed-lease",
            Self::NeedlessAcceptance => "needless-acceptance",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One remark.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Lint {
    /// What it is about.
    pub code: Code,
    /// The kind of the part that it concerns.
    pub object: Object,
    /// The name of that part.
    pub subject: String,
    /// The remark: a sentence without its first capital and its full stop.
    pub message: String,
    /// What to do about it: whole sentences.
    pub remedy: String,
    /// Line where the subject is written, from 1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column where the subject is written, from 1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.code, self.message, self.remedy)
    }
}

/// Facts about the host that a policy is compared with.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// All addresses of the host.
    pub addresses: Vec<IpAddr>,
    /// Names of interfaces in the policy for which there is one.
    pub interfaces: Vec<String>,
    /// Addresses on interfaces where the policy is not enforced, with the interface.
    pub unenforced: Vec<(String, IpAddr)>,
}

/// Remarks on a policy, and on how it fits `host`; [`Validated::lint`] also knows the file.
#[must_use]
pub fn lint(policy: &Policy, host: Option<&HostFacts>) -> Vec<Lint> {
    let mut lints = Vec::new();
    usage::modes(policy, &mut lints);
    outbound::connections(policy, &mut lints);
    outbound::timeouts(policy, &mut lints);
    usage::roles(policy, &mut lints);
    usage::services(policy, &mut lints);
    usage::ssh(policy, &mut lints);
    usage::directions(policy, &mut lints);
    coverage::shared_addresses(policy, &mut lints);
    coverage::wide_endpoints(policy, &mut lints);
    usage::routed(policy, &mut lints);
    if let Some(host) = host {
        host::compare(policy, host, &mut lints);
    }
    lints
}

impl Validated {
    /// Remarks on the policy and its file, with positions, in the order of the file.
    #[must_use]
    pub fn lint(&self, host: Option<&HostFacts>) -> Vec<Lint> {
        let mut lints = lint(&self.policy, host);
        usage::unused_services(&self.policy, &self.positions, &mut lints);
        for lint in &mut lints {
            lint.locate(&self.positions);
        }
        let needless = self.needless(&lints, host.is_some());
        lints.retain(|lint| !self.accepted.iter().any(|accepted| accepted.covers(lint)));
        lints.extend(needless);
        lints.sort_by_key(|lint| (lint.line.is_none(), lint.line, lint.column));
        lints
    }
}

impl Validated {
    /// Remarks on accepted remarks that are not made. Without a host, those that only one can give
    /// rise to are left alone.
    fn needless(&self, lints: &[Lint], with_host: bool) -> Vec<Lint> {
        let needless = self.accepted.iter().filter(|accepted| {
            (with_host || !accepted.code.is_about_host())
                && !lints.iter().any(|lint| accepted.covers(lint))
        });
        needless
            .map(|accepted| {
                let code = accepted.code;
                let message = format!("the remark `{code}` is accepted, and is not made");
                let subject = (Object::Policy, code.as_str());
                let remedy = "Remove it from `accept`.";
                Lint {
                    line: Some(accepted.at.line),
                    column: Some(accepted.at.column),
                    ..Lint::new(Code::NeedlessAcceptance, subject, message, remedy)
                }
            })
            .collect()
    }
}

impl Lint {
    fn new(code: Code, (object, subject): (Object, &str), message: String, remedy: &str) -> Self {
        Self {
            code,
            object,
            subject: subject.to_owned(),
            message,
            remedy: remedy.to_owned(),
            line: None,
            column: None,
        }
    }

    fn locate(&mut self, positions: &Positions) {
        let at = positions.of(self.object, &self.subject);
        self.line = at.map(|at| at.line);
        self.column = at.map(|at| at.column);
    }
}
