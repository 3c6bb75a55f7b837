//! What host and endpoint say to each other. Both run in this process, over loopback, and a
//! registrar that writes down its calls stands in for the agent: nothing here takes root.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its testbed has failed"
)]

mod authority;
mod command;
mod granted;
mod harm;
mod host;
mod openssl;
mod refused;
mod retry;
mod revoked;
mod rotation;
mod testbed;
