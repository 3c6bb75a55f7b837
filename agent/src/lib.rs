//! manoward's user space: policy, datapath, and the interfaces to operate them.
//!
//! - [`policy`]: what a person writes, validated.
//! - [`image`]: a policy compiled into what the kernel reads.
//! - [`datapath`]: programs, maps and links in the kernel.
//! - [`signature`]: who has signed a policy.
//! - [`store`]: the policies that were applied, on disk.
//! - `leases`: which endpoints have proven who they are.
//! - [`explain`]: which packet a question is about, and why a verdict is what it is.
//! - [`files`]: reads what lies on the host.
//! - [`enforcer`]: keeps a policy enforced, and answers what is asked about that.
//! - [`caller`]: who is at the other end of the control socket.
//! - [`pulse`]: whether what goes on and on still does.
//! - [`control`]: the API to it all; nothing above knows of it.

pub mod caller;
pub mod config;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod enforcer;
pub mod enrolment;
pub mod explain;
pub mod files;
pub mod frame;
pub mod image;
pub mod join;
pub mod learn;
mod leases;
pub mod logging;
pub mod policy;
pub mod pulse;
pub mod replay;
pub mod signature;
pub mod store;
pub mod worker;
