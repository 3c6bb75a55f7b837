//! The agent under test: its process, its policy, its counters and log, and those who enrol with it.

pub mod counters;
pub mod log;
pub mod operator;
pub mod policy;
mod process;
pub mod soak;
mod usage;

pub use manoward::datapath::Hook;
pub use process::{Agent, BINARY_ENV, PATIENCE_ENV, binary};
