//! Machines that are joined, and what happens among them.

pub mod impersonation;
pub mod topology;
pub mod watch;
