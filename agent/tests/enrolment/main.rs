//! Enrolment with real QUIC over loopback and real certificates, one file for each behaviour.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its bed has failed"
)]

mod authority;
mod bed;
mod command;
mod granted;
mod harm;
mod host;
mod openssl;
mod refused;
mod retry;
mod revoked;
mod rotation;
