//! From what the agent knows to what goes over the wire, and back: a file for each resource, as in
//! [`manoward_api`].

mod break_glass;
mod endpoints;
mod explain;
mod flows;
mod history;
mod leases;
mod origin;
mod policy;
mod shadow;
mod stats;
mod status;

pub(super) use break_glass::{break_glass, door_order, opened};
pub(super) use endpoints::endpoints;
pub(super) use explain::explanation;
pub use explain::question;
pub use flows::{QueryError, query};
pub(super) use flows::{cut, list as flows};
pub(super) use leases::list as leases;
pub(super) use origin::origin;
pub(super) use policy::{patch, text};
pub(super) use shadow::{report, trying};
pub(super) use stats::stats;
pub(super) use status::status;
