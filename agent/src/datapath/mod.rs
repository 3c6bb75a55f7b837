//! Programs, maps and links in the kernel: loads, attaches and reads them.
//!
//! Everything that enforces is pinned under one directory of a BPF file system, so it outlives the
//! agent: maps under `layout-N/`, links under `links/`. The next agent opens them again;
//! [`Datapath::remove_pins`] ends enforcement.

mod adopt;
mod attach;
mod btf;
mod clock;
mod clsact;
mod counters;
mod door;
mod error;
mod exemptions;
mod explain;
mod filters;
pub mod flow_control;
pub mod flows;
mod hook;
mod host_size;
pub mod interface;
mod kernel;
pub mod leases;
mod links;
mod load;
mod maps;
mod object;
mod offload;
mod owner;
mod pinned;
mod pins;
mod publish;
mod refusal;
mod resize;
mod settings;
pub mod shadow;
pub mod sockets;
mod statistics;
mod verify;

pub use adopt::{AdoptError, Adopted, adopt, keep_silent};
pub use attach::Attachment;
pub use counters::{CounterError, Counters, EndpointCounter, Place, VerdictCounter};
pub use door::DoorError;
pub use error::LoadError;
pub use exemptions::{Exempted, exemptions};
pub use explain::{ExplainError, Explainer, LOOPBACK};
pub use hook::{Hook, HookMode, Program, Role};
pub use host_size::FLOWS;
pub use kernel::{Features, KernelError, check_kernel};
pub use load::{Datapath, flow_sets};
pub use pins::{PinError, Pins};
pub use publish::{Enforced, PublishError, Trial};
pub use refusal::AttachError;
pub use shadow::{Shadow, ShadowError};
pub use statistics::{StatisticsError, Verified, statistics};

#[doc(hidden)]
pub use load::load_over;
#[doc(hidden)]
pub use object::object;
