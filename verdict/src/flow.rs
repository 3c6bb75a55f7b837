//! Flows: connections that the host opened.

mod state;

pub use state::State;
