//! The control API: HTTP with JSON over a unix socket, for the CLI and for `curl`.
//!
//! What goes over the wire is [`manoward_api`]'s. The rest of the agent does not know it: its
//! values become answers in `wire`, and its errors in `answers`, here alone.

mod answers;
pub mod client;
pub mod requests;
pub mod server;
pub mod wire;
