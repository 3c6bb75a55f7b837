//! Frames as stacks of headers, with whatever each of them may hold.

use crate::net::packet::{
    Arp, Ethernet, Extension, Fragment, Icmp, Icmpv6, Ipv4, Ipv6, Packet, Sctp, Tcp, Udp, Vlan,
};
use manoward::policy::{Policy, Transport};

use super::mutation;
use super::values::Values;

/// A generator of frames for a policy.
pub struct Grammar {
    values: Values,
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
            values: Values::of(policy, seed),
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
        let packet = match self.values.rng.u8(..32) {
            0 => packet.with(self.arp()),
            1 => {
                let length = self.values.rng.usize(..80);
                packet.with(self.bytes(length))
            }
            2..17 => self.v4(packet),
            _ => self.v6(packet),
        };
        let mut frame = packet.build();
        mutation::damage(&mut frame, &mut self.values.rng);
        frame
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.values.rng.fill(&mut bytes);
        bytes
    }

    fn link(&mut self) -> Packet {
        let values = &mut self.values;
        let ether_type = values.once_in(40).then(|| values.rng.u16(..));
        let mut packet = Packet::new().with(Ethernet {
            destination: values.mac(),
            source: values.mac(),
            ether_type,
        });
        let tags = match values.rng.u8(..16) {
            0..8 => 0,
            8..12 => 1,
            12..15 => 2,
            _ => 3,
        };
        for _ in 0..tags {
            let mut tag = Vlan::new(values.vlan());
            tag.priority = values.rng.u8(..8);
            if values.rng.bool() {
                tag.tpid = 0x88a8;
            }
            packet = packet.with(tag);
        }
        packet
    }

    fn arp(&mut self) -> Arp {
        let values = &mut self.values;
        Arp::reply(
            (values.mac(), values.source4()),
            (values.mac(), values.destination4()),
        )
    }

    fn v4(&mut self, packet: Packet) -> Packet {
        let values = &mut self.values;
        let mut header = Ipv4::between(values.source4(), values.destination4());
        header.ttl = values.rng.u8(..);
        header.dont_fragment = values.rng.bool();
        if values.once_in(4) {
            let length = values.rng.usize(..41);
            header.options = self.bytes(length);
        }
        let values = &mut self.values;
        if values.once_in(4) {
            header.more_fragments = values.rng.bool();
            header.fragment_offset = [0, 0, 1, 2, 3, 185, 0x1fff][values.rng.usize(..7)];
        }
        if values.once_in(20) {
            header.version = values.rng.u8(..16);
        }
        if values.once_in(20) {
            header.ihl = Some(values.rng.u8(..16));
        }
        if values.once_in(20) {
            header.total_length = Some(values.rng.u16(..80));
        }
        if values.once_in(10) {
            header.protocol = Some(values.protocol());
        }
        self.transport(packet.with(header), Family::V4)
    }

    fn v6(&mut self, packet: Packet) -> Packet {
        let values = &mut self.values;
        let mut header = Ipv6::between(values.source6(), values.destination6());
        header.hop_limit = [255, 254, 64, 0][values.rng.usize(..4)];
        if values.once_in(20) {
            header.version = values.rng.u8(..16);
        }
        if values.once_in(20) {
            header.payload_length = Some(values.rng.u16(..120));
        }
        if values.once_in(10) {
            header.next_header = Some(values.protocol());
        }
        let mut packet = packet.with(header);
        let extensions = match values.rng.u8(..16) {
            0..8 => 0,
            8..15 => values.rng.usize(1..4),
            _ => values.rng.usize(4..12),
        };
        for _ in 0..extensions {
            packet = self.extension(packet);
        }
        self.transport(packet, Family::V6)
    }

    fn extension(&mut self, packet: Packet) -> Packet {
        let values = &mut self.values;
        if values.once_in(3) {
            let fragment = Fragment {
                offset: [0, 0, 0, 1, 2, 3, 0x1fff][values.rng.usize(..7)],
                more: values.rng.bool(),
                identification: values.rng.u32(..),
                next_header: values.once_in(20).then(|| values.protocol()),
            };
            return packet.with(fragment);
        }
        let kind = [0, 43, 60][values.rng.usize(..3)];
        let units = if values.once_in(30) {
            values.rng.usize(..256)
        } else {
            values.rng.usize(..3)
        };
        let mut content = self.bytes(6 + 8 * units);
        let values = &mut self.values;
        // Segments left, if this is a routing header.
        if !values.once_in(8) {
            content[1] = 0;
        }
        let mut extension = Extension::of(kind, content);
        extension.length = values.once_in(30).then(|| values.rng.u8(..));
        extension.next_header = values.once_in(30).then(|| values.protocol());
        packet.with(extension)
    }

    fn transport(&mut self, packet: Packet, family: Family) -> Packet {
        let mut payload = self.tag.clone();
        if self.values.once_in(4) {
            let length = self.values.rng.usize(..64);
            payload.extend(self.bytes(length));
        }
        let values = &mut self.values;
        let packet = match values.rng.u8(..16) {
            0..5 => {
                let flags = if values.rng.bool() {
                    Tcp::ACK
                } else {
                    values.rng.u8(..32)
                };
                let mut segment = Tcp::to(values.port(Transport::Tcp), flags);
                segment.source = values.port(Transport::Tcp);
                if values.rng.bool() {
                    segment.sequence = values.rng.u32(..);
                    segment.acknowledgement = values.rng.u32(..);
                }
                packet.with(segment)
            }
            5..9 => packet.with(Udp {
                source: values.port(Transport::Udp),
                ..Udp::to(values.port(Transport::Udp))
            }),
            9..11 => packet.with(Sctp::to(values.port(Transport::Sctp))),
            11..15 => self.control(packet, family),
            _ => {
                let length = values.rng.usize(..40);
                packet.with(self.bytes(length))
            }
        };
        packet.with(payload)
    }

    fn control(&mut self, packet: Packet, family: Family) -> Packet {
        let values = &mut self.values;
        let any = values.rng.u8(..);
        // Now and then that of the other family.
        let v4 = matches!(family, Family::V4) != values.once_in(20);
        if v4 {
            let kind = [0, 3, 5, 8, 11, 12, 13, any][values.rng.usize(..8)];
            let packet = packet.with(Icmp {
                kind,
                ..Icmp::default()
            });
            if !matches!(kind, 3 | 11 | 12) {
                return packet;
            }
            let between = Ipv4::between(values.destination4(), values.source4());
            self.quoted(packet.with(between))
        } else {
            let kinds = [1, 2, 3, 4, 128, 129, 130, 133, 134, 135, 136, 137, 143, any];
            let kind = kinds[values.rng.usize(..kinds.len())];
            let packet = packet.with(Icmpv6 {
                kind,
                ..Icmpv6::default()
            });
            if !matches!(kind, 1..=4) {
                return packet;
            }
            let between = Ipv6::between(values.destination6(), values.source6());
            self.quoted(packet.with(between))
        }
    }

    /// The transport header of a packet that an error quotes.
    fn quoted(&mut self, packet: Packet) -> Packet {
        let values = &mut self.values;
        if values.rng.bool() {
            return packet.with(Tcp {
                source: values.port(Transport::Tcp),
                ..Tcp::to(values.port(Transport::Tcp), values.rng.u8(..32))
            });
        }
        packet.with(Udp {
            source: values.port(Transport::Udp),
            ..Udp::to(values.port(Transport::Udp))
        })
    }
}
