//! manoward's user space: policy, datapath, and the interfaces to operate them.
//!
//! - [`policy`]: what a person writes, validated.
//! - [`image`]: a policy compiled into what the kernel reads.
//! - [`datapath`]: programs, maps and links in the kernel.

pub mod control;
pub mod datapath;
pub mod image;
pub mod policy;
