//! The part of manoward that runs in the kernel, seen from user space.
//!
//! Everything that enforces is pinned under one directory of a BPF file system, so it outlives
//! the agent: maps under `layout-N/`, links under `links/`. The agent that starts next finds them
//! and goes on; [`Datapath::remove_pins`] ends it.

mod adopt;
mod attach;
mod clock;
mod clsact;
mod counters;
mod explain;
pub mod flows;
pub mod interface;
mod kernel;
pub mod leases;
mod load;
mod maps;
mod offload;
mod owner;
mod pins;
mod publish;

pub use adopt::{AdoptError, Adopted, adopt};
pub use attach::{AttachError, Attachment, HookMode};
pub use counters::{CounterError, Counters, EndpointCounter, VerdictCounter};
pub use explain::{ExplainError, Explainer, LOOPBACK};
pub use kernel::{Features, KernelError, check_kernel};
pub use load::{Datapath, Hook, LoadError, Program, flow_sets};
pub use pins::{PinError, Pins};
pub use publish::PublishError;

#[doc(hidden)]
pub use load::object;
