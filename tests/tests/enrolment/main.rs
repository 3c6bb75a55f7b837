//! Enrolment: endpoints authenticate with real certificates over real QUIC.

mod protocol;
mod scene;
