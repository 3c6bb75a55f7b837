//! What is remembered from packet to packet: flows, leases, limits, sessions of enrolment.
//!
//! Programs on several CPUs read and write the same tables without a lock; so does the agent.

pub mod clock;
pub mod exemption;
pub mod flow;
pub mod lease;
pub mod limit;
pub mod note;
pub mod served;
pub mod sessions;
pub mod sets;
pub mod tag;
pub mod translated;
