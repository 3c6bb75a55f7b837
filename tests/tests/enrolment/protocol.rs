//! The protocol between host and endpoint. Both run in this process, over loopback, and a registrar
//! that records its calls stands in for the agent: no test here needs root.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its testbed has failed"
)]

mod authority;
mod chains;
mod command;
mod crowds;
mod granted;
mod harm;
mod host;
mod lists;
mod openssl;
mod refused;
mod retry;
mod revoked;
mod rotation;
mod testbed;
mod words;
