//! The control API: HTTP with JSON over a unix socket, for the CLI and for `curl`.

pub mod api;
