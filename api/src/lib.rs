//! What goes over the control API of manoward's agent, as JSON: requests and answers.
//!
//! The agent serves it as HTTP over a unix socket; `manoward` asks for it, and so can others. The
//! types carry no logic and know neither the agent nor the kernel. Whoever may open the socket may
//! read; only root may change anything. A request that is not done is answered with a [`Failure`].
//!
//! A file stands for each resource:
//!
//! - [`status`]: `GET /v1/status`.
//! - [`stats`]: `GET /v1/stats`.
//! - [`endpoints`]: `GET /v1/endpoints`.
//! - [`flows`]: `GET /v1/flows`.
//! - [`leases`]: `GET /v1/leases`, `POST /v1/leases/revoke`.
//! - [`policy`]: `GET /v1/policy`, `POST /v1/policy/check`, `/diff`, `/apply`, `/confirm`, `/cancel`,
//!   `/rollback`, `/patch`.
//! - [`shadow`]: `GET /v1/policy/try`, `POST /v1/policy/try`, `/try/stop`, `/promote`.
//! - [`history`]: `GET /v1/policy/history`.
//! - [`explain`]: `POST /v1/explain`.
//! - [`break_glass`]: `GET /v1/break-glass`, `POST /v1/break-glass/open`, `/close`.
//! - [`detach`]: `POST /v1/detach`.
//! - [`failure`]: what is answered in place of any of them.

pub mod break_glass;
pub mod detach;
pub mod endpoints;
pub mod explain;
pub mod failure;
pub mod flows;
pub mod history;
pub mod leases;
pub mod policy;
pub mod shadow;
pub mod stats;
pub mod status;

pub use break_glass::{BreakGlass, DoorOrder, DoorsClosed, GlassAccess, OpenDoor, StandingAccess};
pub use detach::Detached;
pub use endpoints::{EndpointEntry, EndpointList};
pub use explain::{Explanation, Kernel, Question};
pub use failure::Failure;
pub use flows::{FlowEntry, FlowList, FlowQuery, FlowsCut};
pub use history::{Event, History, HistoryEntry, HistoryQuery, Verification, Who};
pub use leases::{BarEntry, LeaseEntry, LeaseList, RefusedCount, Revocation, Revoked};
pub use policy::{
    Access, Applied, Cancelled, Candidate, Change, ChangeKind, Claim, Confirmed, Difference, Lint,
    Mistake, Mode, Object, Outbound, Patch, PatchedAddress, PolicyQuery, PolicyText, Report,
    RollBack, Session,
};
pub use shadow::{Newly, Promotion, ShadowReport, ShadowRow, StoppedTrying, Tried, Trying};
pub use stats::{Count, EndpointCount, Fate, Fates, Place, Stats, VerdictCount, Way};
pub use status::{
    Attachment, Coverage, Door, EnrolmentStatus, Health, Hook, HookMode, PolicyInForce, Problem,
    Status, TrialStatus,
};
