//! Frames as stacks of headers, with whatever each of them may hold.

use crate::packet::{
    Arp, Ethernet, Extension, Fragment, Icmp, Icmpv6, Ipv4, Ipv6, Packet, Sctp, Tcp, Udp, Vlan,
};
use manoward::policy::{Policy, Transport};

use super::mutation;
use super::words::Words;

/// A generator of frames for a policy.
pub struct Grammar {
    words: Words,
    tag: Vec<u8>,
}

/// What follows a network header.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Grammar {
    /// A generator that always yields the same frames for the same policy and seed.
    #[must_use]
    pub fn new(policy: &Policy, seed: u64) -> Self {
        Self {
            words: Words::of(policy, seed),
            tag: Vec::new(),
        }
    }

    /// The next frame, whose payload begins with a tag.
    pub fn tagged(&mut self, tag: Vec<u8>) -> Vec<u8> {
        self.tag = tag;
        self.frame()
    }

    /// The next frame.
    pub fn frame(&mut self) -> Vec<u8> {
        let packet = self.link();
        let packet = match self.words.rng.u8(..32) {
            0 => packet.with(self.arp()),
            1 => {
                let length = self.words.rng.usize(..80);
                packet.with(self.bytes(length))
            }
            2..17 => self.v4(packet),
            _ => self.v6(packet),
        };
        let mut frame = packet.build();
        mutation::damage(&mut frame, &mut self.words.rng);
        frame
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.words.rng.fill(&mut bytes);
        bytes
    }

    fn link(&mut self) -> Packet {
        let words = &mut self.words;
        let ether_type = words.once_in(40).then(|| words.rng.u16(..));
        let mut packet = Packet::new().with(Ethernet {
            destination: words.mac(),
            source: words.mac(),
            ether_type,
        });
        let tags = match words.rng.u8(..16) {
            0..8 => 0,
            8..12 => 1,
            12..15 => 2,
            _ => 3,
        };
        for _ in 0..tags {
            let mut tag = Vlan::new(words.vlan());
            tag.priority = words.rng.u8(..8);
            if words.rng.bool() {
                tag.tpid = 0x88a8;
            }
            packet = packet.with(tag);
        }
        packet
    }

    fn arp(&mut self) -> Arp {
        let words = &mut self.words;
        Arp::reply(
            (words.mac(), words.source4()),
            (words.mac(), words.destination4()),
        )
    }

    fn v4(&mut self, packet: Packet) -> Packet {
        let words = &mut self.words;
        let mut header = Ipv4::between(words.source4(), words.destination4());
        header.ttl = words.rng.u8(..);
        header.dont_fragment = words.rng.bool();
        if words.once_in(4) {
            let length = words.rng.usize(..41);
            header.options = self.bytes(length);
        }
        let words = &mut self.words;
        if words.once_in(4) {
            header.more_fragments = words.rng.bool();
            header.fragment_offset = [0, 0, 1, 2, 3, 185, 0x1fff][words.rng.usize(..7)];
        }
        if words.once_in(20) {
            header.version = words.rng.u8(..16);
        }
        if words.once_in(20) {
            header.ihl = Some(words.rng.u8(..16));
        }
        if words.once_in(20) {
            header.total_length = Some(words.rng.u16(..80));
        }
        if words.once_in(10) {
            header.protocol = Some(words.protocol());
        }
        self.transport(packet.with(header), Family::V4)
    }

    fn v6(&mut self, packet: Packet) -> Packet {
        let words = &mut self.words;
        let mut header = Ipv6::between(words.source6(), words.destination6());
        header.hop_limit = [255, 254, 64, 0][words.rng.usize(..4)];
        if words.once_in(20) {
            header.version = words.rng.u8(..16);
        }
        if words.once_in(20) {
            header.payload_length = Some(words.rng.u16(..120));
        }
        if words.once_in(10) {
            header.next_header = Some(words.protocol());
        }
        let mut packet = packet.with(header);
        let extensions = match words.rng.u8(..16) {
            0..8 => 0,
            8..15 => words.rng.usize(1..4),
            _ => words.rng.usize(4..12),
        };
        for _ in 0..extensions {
            packet = self.extension(packet);
        }
        self.transport(packet, Family::V6)
    }

    fn extension(&mut self, packet: Packet) -> Packet {
        let words = &mut self.words;
        if words.once_in(3) {
            let fragment = Fragment {
                offset: [0, 0, 0, 1, 2, 3, 0x1fff][words.rng.usize(..7)],
                more: words.rng.bool(),
                identification: words.rng.u32(..),
                next_header: words.once_in(20).then(|| words.protocol()),
            };
            return packet.with(fragment);
        }
        let kind = [0, 43, 60][words.rng.usize(..3)];
        let units = if words.once_in(30) {
            words.rng.usize(..256)
        } else {
            words.rng.usize(..3)
        };
        let mut content = self.bytes(6 + 8 * units);
        let words = &mut self.words;
        // Segments left, if this is a routing header.
        if !words.once_in(8) {
            content[1] = 0;
        }
        let mut extension = Extension::of(kind, content);
        extension.length = words.once_in(30).then(|| words.rng.u8(..));
        extension.next_header = words.once_in(30).then(|| words.protocol());
        packet.with(extension)
    }

    fn transport(&mut self, packet: Packet, family: Family) -> Packet {
        let mut payload = self.tag.clone();
        if self.words.once_in(4) {
            let length = self.words.rng.usize(..64);
            payload.extend(self.bytes(length));
        }
        let words = &mut self.words;
        let packet = match words.rng.u8(..16) {
            0..5 => {
                let flags = if words.rng.bool() {
                    Tcp::ACK
                } else {
                    words.rng.u8(..32)
                };
                let mut segment = Tcp::to(words.port(Transport::Tcp), flags);
                segment.source = words.port(Transport::Tcp);
                if words.rng.bool() {
                    segment.sequence = words.rng.u32(..);
                    segment.acknowledgement = words.rng.u32(..);
                }
                packet.with(segment)
            }
            5..9 => packet.with(Udp {
                source: words.port(Transport::Udp),
                ..Udp::to(words.port(Transport::Udp))
            }),
            9..11 => packet.with(Sctp::to(words.port(Transport::Sctp))),
            11..15 => self.control(packet, family),
            _ => {
                let length = words.rng.usize(..40);
                packet.with(self.bytes(length))
            }
        };
        packet.with(payload)
    }

    fn control(&mut self, packet: Packet, family: Family) -> Packet {
        let words = &mut self.words;
        let any = words.rng.u8(..);
        // Now and then that of the other family.
        let v4 = matches!(family, Family::V4) != words.once_in(20);
        if v4 {
            let kind = [0, 3, 5, 8, 11, 12, 13, any][words.rng.usize(..8)];
            let packet = packet.with(Icmp {
                kind,
                ..Icmp::default()
            });
            if !matches!(kind, 3 | 11 | 12) {
                return packet;
            }
            let between = Ipv4::between(words.destination4(), words.source4());
            self.quoted(packet.with(between))
        } else {
            let kinds = [1, 2, 3, 4, 128, 129, 130, 133, 134, 135, 136, 137, 143, any];
            let kind = kinds[words.rng.usize(..kinds.len())];
            let packet = packet.with(Icmpv6 {
                kind,
                ..Icmpv6::default()
            });
            if !matches!(kind, 1..=4) {
                return packet;
            }
            let between = Ipv6::between(words.destination6(), words.source6());
            self.quoted(packet.with(between))
        }
    }

    /// The transport header of a packet that an error quotes.
    fn quoted(&mut self, packet: Packet) -> Packet {
        let words = &mut self.words;
        if words.rng.bool() {
            return packet.with(Tcp {
                source: words.port(Transport::Tcp),
                ..Tcp::to(words.port(Transport::Tcp), words.rng.u8(..32))
            });
        }
        packet.with(Udp {
            source: words.port(Transport::Udp),
            ..Udp::to(words.port(Transport::Udp))
        })
    }
}
