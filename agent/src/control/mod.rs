//! The control API: HTTP with JSON over a unix socket, for the CLI and for `curl`.

mod answers;
pub mod api;
pub mod client;
pub mod requests;
pub mod server;
