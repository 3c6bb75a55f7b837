//! Enrolment: endpoints that prove who they are, with real certificates over real QUIC.

mod protocol;
mod scene;
