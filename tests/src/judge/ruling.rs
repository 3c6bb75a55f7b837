//! An outcome in the words of a policy.

use std::fmt;

use manoward::image::Numbers;
use verdict::reason::{Outcome, Reason, Verdict};

/// What becomes of a packet, why, and under which names it is counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ruling {
    reason: Reason,
    audited: bool,
    rule: Option<(String, String)>,
    endpoint: Option<String>,
}

impl From<Reason> for Ruling {
    /// For this reason, under no rule and from no endpoint.
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            audited: false,
            rule: None,
            endpoint: None,
        }
    }
}

impl Ruling {
    /// `outcome` with its numbers as names; `None` if a number has no name.
    pub(super) fn new(outcome: Outcome, numbers: &Numbers) -> Option<Self> {
        let rule = match outcome.rule() {
            0 => None,
            number => {
                let (name, _) = numbers.rules.iter().find(|(_, n)| **n == number)?;
                Some((name.reference_point.clone(), name.service.clone()))
            }
        };
        let endpoint = match outcome.endpoint() {
            0 => None,
            number => {
                let (name, _) = numbers.endpoints.iter().find(|(_, n)| **n == number)?;
                Some(name.clone())
            }
        };
        Some(Self {
            reason: outcome.reason(),
            audited: outcome.audited(),
            rule,
            endpoint,
        })
    }

    /// An endpoint uses a service of a reference point, as it may.
    #[must_use]
    pub fn permitted(reference_point: &str, service: &str, endpoint: &str) -> Self {
        Self::from(Reason::Permitted)
            .under(reference_point, service)
            .of(endpoint)
    }

    /// The host uses a service of an endpoint, as it may.
    #[must_use]
    pub fn outbound(reference_point: &str, service: &str, endpoint: &str) -> Self {
        Self::from(Reason::Outbound)
            .under(reference_point, service)
            .of(endpoint)
    }

    /// An endpoint answers the host, as it may.
    #[must_use]
    pub fn established(reference_point: &str, service: &str, endpoint: &str) -> Self {
        Self::from(Reason::Established)
            .under(reference_point, service)
            .of(endpoint)
    }

    /// Under the rule of this service at this reference point.
    #[must_use]
    pub fn under(self, reference_point: &str, service: &str) -> Self {
        Self {
            rule: Some((reference_point.to_owned(), service.to_owned())),
            ..self
        }
    }

    /// From this endpoint.
    #[must_use]
    pub fn of(self, endpoint: &str) -> Self {
        Self {
            endpoint: Some(endpoint.to_owned()),
            ..self
        }
    }

    /// A violation that passes, because its mode is `audit`.
    #[must_use]
    pub fn audited(self) -> Self {
        Self {
            audited: true,
            ..self
        }
    }

    /// Whether the packet passes.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.audited || self.reason.verdict() == Verdict::Pass
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passes(), self.audited) {
            (true, true) => "pass (audited)",
            (true, false) => "pass",
            (false, _) => "drop",
        };
        write!(f, "{verdict}: {}", self.reason.name())?;
        if let Some((reference_point, service)) = &self.rule {
            write!(f, ", under {reference_point} {service}")?;
        }
        if let Some(endpoint) = &self.endpoint {
            write!(f, ", of {endpoint}")?;
        }
        Ok(())
    }
}
