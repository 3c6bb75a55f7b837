//! Compiling a policy for this host, whether or not it is to be enforced.

use verdict::frame::transport::IpProtocol;

use super::ApplyError;
use crate::{
    datapath::interface::Interfaces,
    image::{self, CompileError, Facts, Image, Numbers},
    policy::{Authenticate, ENROLMENT, Policy},
    store::Identity,
};

/// What a policy is compiled with, besides itself and the host.
pub(super) struct Compiler<'a> {
    /// Numbers of the names that are in force, which keep them.
    pub(super) numbers: Option<&'a Numbers>,
    /// Numbers of the policy to go back to, which nothing else gets.
    pub(super) confirmed: Option<&'a Numbers>,
    /// Port on which endpoints prove who they are, if the agent looks at proofs.
    pub(super) enrolment: Option<u16>,
}

/// A policy compiled for this host.
pub(super) struct Compiled {
    pub(super) facts: Facts,
    pub(super) image: Image,
    pub(super) numbers: Numbers,
}

impl Compiler<'_> {
    pub(super) fn compile(
        &self,
        policy: &Policy,
        interfaces: &Interfaces,
        identity: Identity,
    ) -> Result<Compiled, ApplyError> {
        let proving = policy
            .endpoints
            .iter()
            .find(|(_, endpoint)| endpoint.authenticate != Authenticate::Address);
        if let Some((name, _)) = proving {
            let Some(port) = self.enrolment else {
                return Err(ApplyError::NoEnrolment(name.clone()));
            };
            if !admits(policy, port) {
                return Err(ApplyError::EnrolmentPort(port));
            }
        }
        let facts = interfaces.facts(policy);
        let none = Numbers::default();
        let numbers = self
            .numbers
            .unwrap_or(&none)
            .carried_beside(policy, self.confirmed.unwrap_or(&none))
            .ok_or(CompileError::TooManyNames)?;
        let mut image = image::compile(policy, &facts, &numbers)?;
        image.identify(identity.digest);
        Ok(Compiled {
            facts,
            image,
            numbers,
        })
    }
}

/// Whether the service over which endpoints prove who they are has this UDP port.
fn admits(policy: &Policy, port: u16) -> bool {
    let Some(service) = policy.services.get(ENROLMENT) else {
        return false;
    };
    service.matches.iter().any(|matched| {
        let (protocol, first, last) = matched.range();
        protocol == IpProtocol::UDP.0 && (first..=last).contains(&port)
    })
}
