use std::vec::Vec;

use super::*;
use crate::tests::sample::{Bytes, MAC, bytes, ethernet};

/// A frame with tags of these types and TCIs before `ether_type`.
fn tagged(tags: &[(u16, u16)], ether_type: u16) -> Vec<u8> {
    let mut types: Vec<u16> = tags.iter().map(|&(tpid, _)| tpid).collect();
    types.push(ether_type);
    let payload: Vec<u8> = tags
        .iter()
        .zip(&types[1..])
        .flat_map(|(&(_, tci), next)| [tci.to_be_bytes(), next.to_be_bytes()].concat())
        .collect();
    ethernet(MAC, types[0], &payload)
}

fn parsed(frame: &[u8], vlan: Option<u16>) -> Result<(EtherType, usize, VlanTags), Reason> {
    let frame = Bytes {
        vlan,
        ..bytes(frame)
    };
    parse(&frame).map(|frame| (frame.ether_type, frame.payload, frame.tags))
}

#[test]
fn tags_are_taken_off() {
    let cases = [
        (&[][..], 14, VlanTags::NONE),
        (&[(0x8100, 42)], 18, VlanTags::single(42)),
        (&[(0x88a8, 42)], 18, VlanTags::single(42)),
        (&[(0x8100, 0xe02a)], 18, VlanTags::single(42)),
        (
            &[(0x88a8, 200), (0x8100, 100)],
            22,
            VlanTags::stacked(200, 100),
        ),
        (
            &[(0x8100, 200), (0x8100, 100)],
            22,
            VlanTags::stacked(200, 100),
        ),
    ];
    for (tags, payload, expected) in cases {
        let frame = tagged(tags, 0x0800);
        assert_eq!(
            parsed(&frame, None),
            Ok((EtherType::IPV4, payload, expected)),
            "{tags:?}"
        );
    }
}

#[test]
fn a_priority_tag_counts_as_none() {
    for (tags, expected) in [
        (&[(0x8100, 0xe000)][..], VlanTags::NONE),
        (&[(0x8100, 0), (0x8100, 5)], VlanTags::single(5)),
        (&[(0x8100, 5), (0x8100, 0)], VlanTags::single(5)),
        (&[(0x8100, 0), (0x8100, 0)], VlanTags::NONE),
    ] {
        let tags = parsed(&tagged(tags, 0x86dd), None).map(|(_, _, tags)| tags);
        assert_eq!(tags, Ok(expected));
    }
}

#[test]
fn a_tag_taken_out_is_the_outer_one() {
    let frame = tagged(&[(0x8100, 100)], 0x0800);
    let stacked = VlanTags::stacked(200, 100);
    assert_eq!(
        parsed(&frame, Some(200)),
        Ok((EtherType::IPV4, 18, stacked))
    );
    let untagged = tagged(&[], 0x0800);
    assert_eq!(
        parsed(&untagged, Some(0x6000 | 200)),
        Ok((EtherType::IPV4, 14, VlanTags::single(200)))
    );
}

#[test]
fn two_tags_are_the_most() {
    let two = [(0x8100, 1), (0x8100, 2)];
    let three = [(0x88a8, 1), (0x8100, 2), (0x8100, 3)];
    let priority = [(0x8100, 0), (0x8100, 0), (0x8100, 0)];
    assert_eq!(
        parsed(&tagged(&three, 0x0800), None),
        Err(Reason::VlanDepth)
    );
    assert_eq!(
        parsed(&tagged(&priority, 0x0800), None),
        Err(Reason::VlanDepth)
    );
    assert_eq!(
        parsed(&tagged(&two, 0x0800), Some(3)),
        Err(Reason::VlanDepth)
    );
}

#[test]
fn a_frame_that_ends_early_says_where() {
    let frame = tagged(&[(0x88a8, 1), (0x8100, 2)], 0x0800);
    for end in 0..frame.len() {
        let expected = if end < 14 {
            Reason::EthernetTruncated
        } else {
            Reason::VlanTruncated
        };
        assert_eq!(parsed(&frame[..end], None), Err(expected), "{end}");
    }
}

#[test]
fn other_types_are_not_tags() {
    for ether_type in [0, 46, 0x0600, 0x8809, 0x9100, 0x88cc, 0xffff] {
        let frame = tagged(&[], ether_type);
        let expected = (EtherType(ether_type), 14, VlanTags::NONE);
        assert_eq!(parsed(&frame, None), Ok(expected));
    }
}

#[test]
fn the_source_address_is_read_as_it_is_written() {
    let frame = ethernet([1, 2, 3, 4, 5, 6], 0x0800, &[]);
    assert_eq!(source_mac(&bytes(&frame)), Some(0x0102_0304_0506));
    assert_eq!(source_mac(&bytes(&frame[..11])), None);
}
