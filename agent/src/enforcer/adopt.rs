//! Taking over connections that exist when a host, or more of it, begins to be protected.

use std::{collections::BTreeSet, net::IpAddr};

use tracing::{info, warn};

use super::{Current, Enforcer};
use crate::{
    datapath::adopt,
    image::{Facts, Image},
    policy::{Policy, Protect},
};

/// Connections that are named in a problem.
const NAMED: usize = 3;

/// The protected addresses, in order.
pub(super) fn protected(policy: &Policy, facts: &Facts) -> BTreeSet<IpAddr> {
    policy
        .protect
        .iter()
        .flat_map(|protect| match protect {
            Protect::Address(address) => vec![*address],
            Protect::InterfaceAddresses => facts.addresses.clone(),
        })
        .collect()
}

/// Which connections are taken over by a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Adoption {
    /// None: no address has become protected.
    Nothing,
    /// Those of the host: an address may have been gained while no agent ran.
    Host,
    /// Those of the host at these addresses, which were not protected before, and for some time those of
    /// guests.
    Gained(BTreeSet<IpAddr>),
}

impl Adoption {
    /// What is taken over when `policy` follows on `current`.
    pub(super) fn of(current: Option<&Current>, policy: &Policy, facts: &Facts) -> Self {
        let before = current.map_or_else(BTreeSet::new, Current::protected);
        let after = protected(policy, facts);
        let gained: BTreeSet<IpAddr> = after.difference(&before).copied().collect();
        if gained.is_empty() {
            Self::Nothing
        } else {
            Self::Gained(gained)
        }
    }
}

impl Enforcer {
    /// Takes over the connections that `image` permits. What fails is reported: it is no reason to protect
    /// nothing.
    pub(super) fn adopt_connections(&mut self, adoption: &Adoption, image: &Image) {
        let gained = match adoption {
            Adoption::Nothing => return,
            Adoption::Host => None,
            Adoption::Gained(gained) => Some(gained),
        };
        self.problems.flows.clear();
        if gained.is_some()
            && let Err(error) = self.datapath.adopt_for(self.config.adoption_grace)
        {
            let problem = format!("connections of guests are not taken over: {error}");
            self.flow_problem(problem);
        }
        self.adopt_sockets(image, gained);
    }

    /// Takes over the connections of sockets, where that has failed before.
    pub(super) fn adopt_missed(&mut self) {
        if self.problems.sockets_missed
            && let Some(current) = self.current.clone()
        {
            self.problems.flows.clear();
            self.adopt_sockets(&current.image, None);
            self.post();
        }
    }

    /// Takes over the connections of sockets, at these addresses if some are given.
    fn adopt_sockets(&mut self, image: &Image, at: Option<&BTreeSet<IpAddr>>) {
        let adopted = adopt(self.datapath.pins(), image, at);
        self.problems.sockets_missed = adopted.is_err();
        match adopted {
            Ok(adopted) => {
                info!(flows = adopted.flows, "connections taken over");
                if !adopted.refused.is_empty() {
                    warn!("{}", refused(&adopted.refused));
                }
            }
            Err(error) => {
                let problem = format!("connections of this host are not taken over: {error}");
                self.flow_problem(problem);
            }
        }
    }

    fn flow_problem(&mut self, problem: String) {
        warn!("{problem}");
        self.problems.flows.push(problem);
    }
}

/// Says that the policy ends connections.
fn refused(connections: &[String]) -> String {
    let named = connections[..connections.len().min(NAMED)].join(", ");
    let more = match connections.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the policy does not permit connections that were open before, and they end: \
         {named}{more}"
    )
}
