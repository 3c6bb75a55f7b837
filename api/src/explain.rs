//! `POST /v1/explain`: what happens to a packet, and why.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Fate, Way};

/// A packet whose verdict somebody asks for: a frame, or what to make one of.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// A frame in hexadecimal, from the destination MAC address on.
    Frame {
        /// The digits; white space and colons are skipped.
        hex: String,
        /// Name of the interface that it arrives on, or leaves by; the first attached one if not
        /// given.
        #[serde(default)]
        interface: Option<String>,
        /// Which way it goes.
        #[serde(default)]
        direction: Way,
    },
    /// A packet that opens a connection. What an endpoint is bound to and is not given here is
    /// taken from its lease or its binding.
    Packet {
        /// Source address.
        from: IpAddr,
        /// Destination address.
        to: IpAddr,
        /// `tcp`, `udp`, `sctp`, another protocol's name, or its number.
        protocol: String,
        /// Destination port, for protocols that have ports.
        #[serde(default)]
        port: Option<u16>,
        /// Source port; 50000 if not given.
        #[serde(default)]
        source_port: Option<u16>,
        /// Source MAC address.
        #[serde(default)]
        mac: Option<String>,
        /// VLAN: an id, `untagged`, or `OUTER.INNER`.
        #[serde(default)]
        vlan: Option<String>,
        /// Name of the interface that it arrives on, or leaves by; the first attached one if not
        /// given.
        #[serde(default)]
        interface: Option<String>,
        /// Which way it goes.
        #[serde(default)]
        direction: Way,
    },
}

/// A verdict with what led to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// Whether the packet passes.
    pub fate: Fate,
    /// Name of the reason.
    pub reason: String,
    /// Reference point that governs the packet.
    pub reference_point: Option<String>,
    /// Service that it asks for.
    pub service: Option<String>,
    /// Endpoint that it comes from, or goes to.
    pub endpoint: Option<String>,
    /// Role of the endpoint.
    pub role: Option<String>,
    /// Prefix of the endpoint that covers the peer's address.
    pub prefix: Option<String>,
    /// A sentence.
    pub because: String,
    /// The frame that was judged, in hexadecimal.
    pub frame: String,
    /// Name of the interface that it was judged on.
    pub interface: Option<String>,
    /// What the program in the kernel says.
    pub kernel: Kernel,
}

/// What the program in the kernel says about a packet that is explained; a disagreement is a
/// [`Failure`].
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// It decides as the host does.
    Agrees,
    /// It decides as the host does about this frame on the loopback interface: the kernel cannot be told
    /// of another one (before Linux 5.15).
    AgreesOnLoopback,
    /// Nothing: it runs no program on a frame of this length.
    #[default]
    NotAsked,
}
