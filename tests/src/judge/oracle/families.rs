//! Families of frames that a stack and a filter in front of it may interpret differently.

mod addresses;
mod fields;
mod fragments;
mod headers;
mod messages;

use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use manoward::policy::Policy;

use crate::judge::differential::grammar::Grammar;
use crate::judge::differential::mutation;
use crate::net::packet::{Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Packet, Sctp, Tcp, Udp};
use crate::net::station::{BASTION, HOST, HOST_OPERATIONS, INTRUDER, Mac, Station, VIM};

use super::repair;
pub use addresses::LINK_LOCAL;

/// The longest frame that an interface with the usual MTU takes.
const LONGEST: usize = 1514;
/// The shortest.
const SHORTEST: usize = 14;

/// One in this many frames of the directed families is damaged.
const DAMAGED: u32 = 8;

/// An odd number with well-mixed bits (the 64-bit golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Services of the policies, and one that none of them has.
const PORTS: [u16; 5] = [22, 53, 7000, 36422, 9999];

/// Frames that belong together.
#[derive(Clone, Debug)]
pub struct Case {
    /// Their family.
    pub family: &'static str,
    /// Bytes in their payload that no other case has.
    pub tag: [u8; 8],
    /// The frames, in the order in which they are sent.
    pub frames: Vec<Vec<u8>>,
}

type Family = (&'static str, fn(&mut Families) -> Vec<Vec<u8>>);

/// Every family. Frames of the grammar come more often.
pub const FAMILIES: [Family; 24] = [
    ("plain", fields::plain),
    ("tcp-flags", fields::tcp_flags),
    ("wrong-checksum", fields::wrong_checksum),
    ("wrong-length", fields::wrong_length),
    ("fragments-in-order", fragments::in_order),
    ("fragments-out-of-order", fragments::out_of_order),
    ("fragment-tiny", fragments::tiny),
    ("fragments-overlapping", fragments::overlapping),
    ("fragments-of-two-sources", fragments::of_two_sources),
    ("fragments-of-two-datagrams", fragments::of_two_datagrams),
    ("fragments-behind-headers", fragments::behind_headers),
    ("fragments-to-a-group", fragments::to_a_group),
    ("fragment-atomic", fragments::atomic),
    ("ipv4-options", headers::ipv4_options),
    ("source-route", headers::source_route),
    ("extension-headers", headers::extension_headers),
    ("vlan-tags", headers::vlan_tags),
    ("tunnel", headers::tunnel),
    ("group", addresses::group),
    ("odd-source", addresses::odd_source),
    ("odd-destination", addresses::odd_destination),
    ("odd-mac", addresses::odd_mac),
    ("icmp", messages::any),
    ("icmp-error", messages::error),
];

/// Families in which the hosts' permitted deliveries may differ: which fragments form a datagram
/// depends on which others arrive, and a tunnel is another service than what it carries.
pub const AMBIGUOUS: [&str; 3] = [
    "fragments-of-two-datagrams",
    "fragments-overlapping",
    "tunnel",
];

/// The family of the frames of the grammar.
pub const GRAMMAR: &str = "grammar";

/// A generator of cases. The same policy and seed give the same cases.
pub struct Families {
    rng: Rng,
    grammar: Grammar,
    number: u64,
}

/// The peer, the address of the host, and the IP version of a packet.
#[derive(Clone, Copy, Debug)]
struct Route {
    v6: bool,
    from: Station,
    to: Station,
}

impl Families {
    /// A source of cases for hosts with this policy.
    #[must_use]
    pub fn new(policy: &Policy, seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            grammar: Grammar::new(policy, seed),
            number: 0,
        }
    }

    /// The next case: of the grammar, or of one of the directed families.
    pub fn case(&mut self) -> Case {
        if self.rng.u8(..3) == 0 {
            self.generated()
        } else {
            let family = self.rng.usize(..FAMILIES.len());
            self.directed(family)
        }
    }

    /// The next case of the family with this index in [`FAMILIES`].
    pub fn directed(&mut self, family: usize) -> Case {
        let (family, make) = FAMILIES[family];
        self.number += 1;
        let mut frames = make(self);
        for frame in &mut frames {
            if self.once_in(DAMAGED) {
                self.damage(frame);
            }
        }
        self.finish(family, frames)
    }

    /// Damages a frame anywhere but in its tag.
    fn damage(&mut self, frame: &mut Vec<u8>) {
        let tag = self.tag();
        let place = frame.windows(tag.len()).position(|bytes| bytes == tag);
        mutation::damage(frame, &mut self.rng);
        if let Some(place) = place
            && let Some(there) = frame.get_mut(place..place + tag.len())
        {
            there.copy_from_slice(&tag);
        }
        if self.rng.bool() {
            repair::checksums(frame);
        }
    }

    fn generated(&mut self) -> Case {
        self.number += 1;
        let mut frame = self.grammar.tagged(self.tag().to_vec());
        // Nearly always to the host's MAC address.
        if !self.once_in(16) {
            frame[..6].copy_from_slice(&HOST.mac.0);
        }
        // Another identification each, so that fragments of different frames are not reassembled.
        repair::identify(&mut frame, self.number as u16);
        if !self.once_in(8) {
            repair::checksums(&mut frame);
        }
        self.finish(GRAMMAR, vec![frame])
    }

    fn finish(&self, family: &'static str, mut frames: Vec<Vec<u8>>) -> Case {
        for frame in &mut frames {
            let length = frame.len().clamp(SHORTEST, LONGEST);
            frame.resize(length, 0);
        }
        Case {
            family,
            tag: self.tag(),
            frames,
        }
    }

    /// The tag of this case. Tags differ so much that damage does not turn one into another.
    fn tag(&self) -> [u8; 8] {
        self.number.wrapping_mul(SPREAD).to_be_bytes()
    }

    fn once_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// A route from a peer with many permissions, with few, or with none.
    fn route(&mut self) -> Route {
        Route {
            v6: self.rng.bool(),
            from: self.pick(&[VIM, VIM, BASTION, INTRUDER, INTRUDER]),
            to: self.pick(&[HOST, HOST, HOST_OPERATIONS]),
        }
    }

    fn port(&mut self) -> u16 {
        self.pick(&PORTS)
    }

    fn link(route: Route) -> Packet {
        Packet::new().with(Ethernet {
            source: route.from.mac,
            ..Ethernet::default()
        })
    }

    fn v4(&self, route: Route) -> Ipv4 {
        Ipv4 {
            identification: self.number as u16,
            ..Ipv4::between(route.from.v4, route.to.v4)
        }
    }

    fn v6(route: Route) -> Ipv6 {
        Ipv6::between(route.from.v6, route.to.v6)
    }

    /// An IP header on a link.
    fn network(&self, route: Route) -> Packet {
        let link = Self::link(route);
        if route.v6 {
            link.with(Self::v6(route))
        } else {
            link.with(self.v4(route))
        }
    }

    /// Adds a request to a service, with the tag and up to `more` further bytes.
    fn ask(&mut self, packet: Packet, v6: bool, more: usize) -> Packet {
        let (port, source) = (self.port(), self.rng.u16(1024..));
        let length = self.rng.usize(..=more);
        let payload = [self.tag().to_vec(), self.bytes(length)].concat();
        let packet = match self.rng.u8(..8) {
            0..3 => packet.with(Udp {
                source,
                ..Udp::to(port)
            }),
            3..6 => packet.with(Tcp {
                source,
                ..Tcp::syn(port)
            }),
            6 => packet.with(Sctp {
                source,
                ..Sctp::to(port)
            }),
            _ if v6 => packet.with(Icmpv6::echo()),
            _ => packet.with(Icmp::echo()),
        };
        packet.with(payload)
    }
}

/// A station with other IP addresses.
const fn at(station: Station, v4: Ipv4Addr, v6: Ipv6Addr) -> Station {
    Station { v4, v6, ..station }
}

/// A station with another MAC address.
const fn with_mac(station: Station, mac: Mac) -> Station {
    Station { mac, ..station }
}
