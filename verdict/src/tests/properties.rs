//! Properties of the decision, for arbitrary frames and arbitrarily damaged images.

use std::{vec, vec::Vec};

use proptest::{collection::vec as vec_of, prelude::*, sample::select};

use super::sample::{
    self, BOUND, BROADCAST, Bytes, GRE, HOST, HOST6, Image, MAC, NTP, OTHER, SSH, STRANGER, Table,
    VIM, VIM6, VLAN, WATCHED, image,
};
use crate::{
    counters::RULES,
    decision::{fast, full},
    frame::{
        address::{Family, Ipv4, Ipv6},
        ethernet,
    },
    image::fixed::{HEADER, LENGTHS},
    reason::{Outcome, Reason, Verdict},
};

/// Values that steer the decision, one byte or two.
fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        select(vec![
            0, 1, 2, 4, 6, 17, 43, 44, 50, 51, 58, 60, 132, 255, GRE, 0x45, 0x4f, 0x60
        ]),
    ]
}

fn telling_type() -> impl Strategy<Value = u16> {
    prop_oneof![
        1 => any::<u16>(),
        8 => select(vec![0x0800, 0x86dd]),
        2 => select(vec![0x8100, 0x88a8]),
    ]
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![any::<u16>(), select(vec![SSH, WATCHED, NTP])]
}

/// A network header with telling values in it; of both families, as the type decides later.
fn network() -> impl Strategy<Value = Vec<u8>> {
    let v4 = (
        select(vec![VIM, BOUND, OTHER, STRANGER, HOST]),
        select(vec![
            HOST,
            HOST,
            VIM,
            BROADCAST,
            STRANGER,
            Ipv4(0),
            Ipv4(0xe000_0001),
        ]),
        telling_byte(),
        vec_of(any::<u8>(), 0..60),
    )
        .prop_map(|(from, to, protocol, rest)| sample::ipv4(from, to, protocol, &rest));
    let v6 = (
        select(vec![VIM6, sample::v6(0x666), HOST6]),
        select(vec![
            HOST6,
            HOST6,
            VIM6,
            sample::v6(9),
            Ipv6 {
                high: 0xff02 << 48,
                low: 1,
            },
        ]),
        telling_byte(),
        vec_of(telling_byte(), 0..120),
    )
        .prop_map(|(from, to, next, rest)| sample::ipv6(from, to, next, &rest));
    prop_oneof![v4, v6]
}

/// A frame: headers that hang together, with some bytes changed, cut off anywhere.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let tags = vec_of((any::<u8>(), telling_type()), 0..3);
    let changes = vec_of((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let ports = (port(), port());
    (
        telling_type(),
        tags,
        network(),
        ports,
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(ether_type, tags, network, ports, changes, end, whole)| {
            let mut payload = Vec::new();
            for (id, next) in tags {
                payload.extend([0, id]);
                payload.extend(next.to_be_bytes());
            }
            payload.extend(network);
            payload.extend(ports.0.to_be_bytes());
            payload.extend(ports.1.to_be_bytes());
            payload.resize(payload.len() + 24, 0x10);
            let mut frame = sample::ethernet(MAC, ether_type, &payload);
            for (at, value) in changes {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            if !whole {
                frame.truncate(end.index(frame.len()));
            }
            frame
        })
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        frame(),
        vec_of(any::<u8>(), 0..300),
        vec_of(telling_byte(), 0..300)
    ]
}

/// An image with some words of its header and tables replaced, and perhaps cut off.
fn damaged() -> impl Strategy<Value = Image> {
    let word = prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        Just(0),
        any::<u32>().prop_map(u64::from)
    ];
    let line = prop_oneof![
        6 => HEADER..LENGTHS + 3,
        2 => any::<prop::sample::Index>().prop_map(|at| at.index(image(false).0.len()) as u32),
        // Behind the fixed part lie rules, records and regions.
        4 => (0_u32..16).prop_map(|back| image(false).0.len() as u32 - 1 - back),
    ];
    let changes = vec_of((line, 0_usize..8, word), 0..12);
    (
        any::<bool>(),
        changes,
        any::<prop::sample::Index>(),
        0_u8..8,
    )
        .prop_map(|(audit, changes, end, cut)| {
            let mut image = image(audit);
            for (line, at, word) in changes {
                image.0[line as usize][at] = word;
            }
            if cut == 0 {
                let end = end.index(image.0.len());
                image.0.truncate(end);
            }
            image
        })
}

/// Whether the destination address, wherever the frame's own headers put it, is protected.
fn is_for_the_host(frame: &Bytes<'_>) -> bool {
    let Ok(parsed) = ethernet::parse(frame) else {
        return false;
    };
    let network = frame.bytes.get(parsed.payload..).unwrap_or_default();
    match parsed.ether_type.0 {
        0x0800 => network.get(16..20) == Some(&HOST.0.to_be_bytes()[..]),
        0x86dd => {
            let host = [HOST6.high.to_be_bytes(), HOST6.low.to_be_bytes()].concat();
            network.get(24..40) == Some(&host[..])
        }
        _ => false,
    }
}

/// The frame that answers an untagged `frame`, where that has all headers.
fn answer(mut frame: Vec<u8>) -> Vec<u8> {
    let (addresses, len) = match frame.get(12..14) {
        Some([0x08, 0]) => (26, 4),
        Some([0x86, 0xdd]) => (22, 16),
        _ => return frame,
    };
    let ports = addresses + 2 * len;
    if frame.len() >= ports + 4 {
        frame[addresses..ports].rotate_left(len);
        frame[ports..ports + 4].rotate_left(2);
    }
    frame
}

fn check(outcome: Outcome, for_the_host: bool) {
    let (reason, rule, endpoint) = (outcome.reason(), outcome.rule(), outcome.endpoint());
    assert!(Outcome::from_word(outcome.0) == Some(outcome));
    assert!(u32::from(rule) < RULES);
    let parts = (rule != 0, endpoint != 0);
    match reason {
        Reason::Permitted => assert_eq!(parts, (true, true)),
        Reason::Fragment | Reason::NoFlow => assert!(endpoint != 0),
        Reason::UnknownSource => assert_eq!(parts, (true, false)),
        Reason::WrongRole => assert_eq!(parts, (true, true)),
        Reason::WrongMac | Reason::WrongVlan | Reason::WrongInterface => assert!(endpoint != 0),
        Reason::FragmentUnpermitted | Reason::NoService | Reason::IcmpUnrelated => {
            assert_eq!(rule, 0);
        }
        _ => assert_eq!(parts, (false, false), "{outcome:?}"),
    }
    if reason.verdict() == Verdict::Pass {
        assert!(!outcome.audited(), "{outcome:?}");
    }
    if for_the_host {
        let passed = outcome.verdict() == Verdict::Pass;
        let admitted = matches!(
            reason,
            Reason::Permitted
                | Reason::NeighbourDiscovery
                | Reason::GroupMembership
                | Reason::Fragment
        );
        assert_eq!(passed, admitted || outcome.audited(), "{outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_and_no_image_make_it_panic(
        bytes in any_frame(),
        image in damaged(),
        vlan in proptest::option::of(any::<u16>()),
        ifindex in any::<u32>(),
    ) {
        let flows = Table::new(1, image.clone());
        let frame = Bytes { bytes: &bytes, vlan, ifindex };
        for _ in 0..2 {
            let outcome = full::inbound(&frame, &image, &flows);
            prop_assert!(u32::from(outcome.rule()) < RULES);
            let outcome = full::outbound(&frame, &image, &flows);
            prop_assert!(u32::from(outcome.rule()) < RULES);
        }
    }

    #[test]
    fn what_passes_to_the_host_has_a_reason_to(
        bytes in any_frame(),
        vlan in proptest::option::of(select(vec![0, 1, VLAN, 0xe000])),
        ifindex in 5_u32..10,
        audit in any::<bool>(),
    ) {
        let frame = Bytes { bytes: &bytes, vlan, ifindex };
        let flows = Table::new(1, image(audit));
        check(full::inbound(&frame, &image(audit), &flows), is_for_the_host(&frame));
    }

    #[test]
    fn the_fast_path_comes_to_the_same_end(
        frames in vec_of((any_frame(), any::<bool>()), 1..6),
        image in prop_oneof![damaged(), Just(image(false)), Just(image(true))],
        vlan in proptest::option::of(select(vec![0, VLAN])),
        ifindex in 5_u32..10,
    ) {
        let (quick, slow) = (Table::new(1, image.clone()), Table::new(1, image.clone()));
        let answered = frames.iter().flat_map(|(bytes, inward)| {
            [(bytes.clone(), *inward), (answer(bytes.clone()), !inward), (bytes.clone(), *inward)]
        });
        for (bytes, inward) in answered {
            let frame = Bytes { bytes: &bytes, vlan, ifindex };
            let (short, long) = if inward {
                let short = fast::inbound(&frame, &image, &quick);
                let long = |table| full::inbound(&frame, &image, table);
                (short.unwrap_or_else(|_| long(&quick)), long(&slow))
            } else {
                let short = fast::outbound(&frame, &image, &quick);
                let long = |table| full::outbound(&frame, &image, table);
                (short.unwrap_or_else(|_| long(&quick)), long(&slow))
            };
            prop_assert_eq!(short, long);
            let flows = |table: &Table| table.flows().collect::<Vec<_>>();
            prop_assert_eq!(flows(&quick), flows(&slow));
        }
    }

    #[test]
    fn more_bytes_behind_the_packet_change_nothing(bytes in frame(), tail in vec_of(any::<u8>(), 1..64)) {
        let judge = |bytes: &[u8]| {
            let flows = Table::new(1, image(false));
            full::inbound(&sample::bytes(bytes), &image(false), &flows)
        };
        let short = judge(&bytes);
        let long = [&bytes[..], &tail].concat();
        let long = judge(&long);
        let truncated = matches!(
            short.reason(),
            Reason::EthernetTruncated
                | Reason::VlanTruncated
                | Reason::Ipv4Truncated
                | Reason::Ipv6Truncated
                | Reason::ExtensionTruncated
                | Reason::TransportTruncated
                | Reason::IcmpUnrelated
                | Reason::DiscoveryInvalid
        );
        prop_assert!(truncated || short == long, "{:?} {:?}", short, long);
    }

    #[test]
    fn a_mask_keeps_the_prefix_and_nothing_else(high in any::<u64>(), low in any::<u64>(), length in 0_u8..=128) {
        let masked = Ipv6 { high, low }.masked(length);
        let bits = |a: Ipv6| u128::from(a.high) << 64 | u128::from(a.low);
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        prop_assert_eq!(bits(masked), bits(Ipv6 { high, low }) & mask);
        prop_assert!(masked.masked(length) == masked);
    }
}
