use std::{vec, vec::Vec};

use super::*;
use crate::{
    frame::{
        address::{Family, Ipv4, Ipv6},
        ethernet::{VlanTags, mac_word},
    },
    image::{
        bucket,
        fixed::HEADER,
        header::word,
        line::Line,
        lookup::{Listed, find_shorter},
    },
    tests::sample::{self, BOUND, Bytes, Image, MAC, OTHER, STRANGER, VIM, VIM6, ethernet, image},
};

fn found<A: Listed>(image: &Image, source: A) -> Result<u32, Missing> {
    find(image, source).map(Peer::id)
}

#[test]
fn a_source_is_found_under_its_longest_prefix() {
    let image = image(false);
    assert_eq!(found(&image, VIM), Ok(1));
    assert_eq!(found(&image, BOUND), Ok(2));
    assert_eq!(found(&image, OTHER), Ok(3));
    assert_eq!(found(&image, Ipv4(OTHER.0 | 0xff)), Ok(3));
    assert_eq!(found(&image, Ipv4(OTHER.0 + 0x100)), Ok(0));
    assert_eq!(found(&image, STRANGER), Ok(0));
    assert_eq!(found(&image, VIM6), Ok(1));
    assert_eq!(found(&image, Ipv6 { low: 0x12, ..VIM6 }), Ok(0));
}

/// The number of the endpoint of `source`, looked for in either order.
fn number(image: &Image, source: Ipv4) -> u32 {
    let found = found(image, source);
    let longest_first = match find_longest(image, source) {
        Ok(Peer(0)) => find_shorter(image, source),
        other => other,
    };
    assert_eq!(longest_first.map(Peer::id), found);
    found.expect("all lines")
}

#[test]
fn a_single_length_may_be_any() {
    for length in [1, 8, 24, 31, 32] {
        let prefix = OTHER.masked(length);
        let image = image(false).with_endpoints(&[(prefix, length, 5)]);
        let beyond = Ipv4(OTHER.0 ^ 1 << (32 - length));
        assert_eq!((number(&image, OTHER), number(&image, beyond)), (5, 0));
    }
}

#[test]
fn of_many_lengths_the_longest_that_covers_wins() {
    // A bucket holds eight prefixes, and the ninth length has none.
    let lengths = [31, 28, 27, 24, 20, 16, 12, 8];
    let prefix = |&length: &u8| (OTHER.masked(length), length, u32::from(length));
    let peers: Vec<_> = lengths.iter().map(prefix).collect();
    let all = lengths.into_iter().chain([30]).collect();
    let image = image(false).with_endpoints(&peers).with_lengths(all);
    for common in 0..32 {
        // The first bit that differs from the prefixes' address.
        let source = Ipv4(OTHER.0 ^ 1 << (31 - common));
        let covering = lengths.into_iter().find(|&length| length <= common);
        let expected = covering.map_or(0, u32::from);
        assert_eq!(number(&image, source), expected, "{common} bits in common");
    }
}

#[test]
fn a_missing_region_is_no_answer() {
    let mut broken = image(false);
    broken.0[HEADER as usize][word::ENDPOINTS] = u64::MAX << 32;
    assert_eq!(found(&broken, VIM), Err(Missing));
    assert_eq!(found(&broken, VIM6), Ok(1));
}

#[test]
fn a_record_lies_under_its_number() {
    let image = image(false);
    let header = Header::of(&image).expect("a header");
    let bound = |id| Record::read(&image, header, id).map(|record| record.to_words() != [0; 2]);
    let of_each: Vec<_> = (1..5).map(bound).collect();
    assert_eq!(of_each, [Ok(false), Ok(true), Ok(false), Ok(true)]);
    assert_eq!(Record::read(&image, header, u32::MAX), Err(Missing));
}

#[test]
fn what_an_address_tells_of_an_endpoint_keeps_its_parts() {
    for (id, role, bound) in [(1, 1, false), (0xffff, 63, true), (0x8000, 32, false)] {
        let peer = Peer::new(id, role, bound);
        assert_eq!((peer.id(), peer.role(), peer.is_bound()), (id, role, bound));
        assert!(peer.0 <= bucket::MAX_VALUE);
    }
}

/// The verdict of a record with these bindings about a frame from [`MAC`] with one tag, 42, on
/// interface 7; the record is bound to the interfaces `set`.
fn checked(bound: u8, mac: [u8; 6], tags: VlanTags, set: &[u32]) -> Result<(), Reason> {
    let mut line = Line::default();
    for (at, &ifindex) in set.iter().enumerate() {
        line[at / 2] |= u64::from(ifindex) << (32 * (at % 2));
    }
    let tables = Image(vec![line]);
    let bytes = ethernet(MAC, 0x8100, &[0, 42, 8, 0]);
    let packet = Bytes {
        bytes: &bytes,
        vlan: None,
        ifindex: 7,
    };
    let frame = crate::frame::ethernet::parse(&packet)?;
    Record::new(bound, mac_word(mac), tags.0, 0).check(&packet, &tables, &frame)
}

const TAG: VlanTags = VlanTags::single(42);
const ALL: u8 = BOUND_MAC | BOUND_VLAN | BOUND_INTERFACE;

#[test]
fn an_endpoint_bound_to_nothing_comes_without_remote() {
    assert_eq!(checked(0, [0; 6], VlanTags::NONE, &[]), Ok(()));
}

#[test]
fn each_binding_is_checked_alone_and_in_order() {
    let other_mac = [0x52, 0x54, 0, 0xaa, 0xbb, 2];
    let other_tag = VlanTags::single(43);
    assert_eq!(checked(ALL, MAC, TAG, &[7]), Ok(()));
    assert_eq!(
        checked(ALL, other_mac, other_tag, &[8]),
        Err(Reason::WrongMac)
    );
    assert_eq!(checked(ALL, MAC, other_tag, &[8]), Err(Reason::WrongVlan));
    assert_eq!(checked(ALL, MAC, TAG, &[8]), Err(Reason::WrongInterface));
    assert_eq!(checked(BOUND_MAC, MAC, other_tag, &[]), Ok(()));
    assert_eq!(checked(BOUND_VLAN, other_mac, TAG, &[]), Ok(()));
    assert_eq!(checked(BOUND_INTERFACE, other_mac, other_tag, &[7]), Ok(()));
}

#[test]
fn every_bit_of_a_mac_address_counts() {
    for bit in 0..48 {
        let mut mac = MAC;
        mac[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(checked(BOUND_MAC, mac, TAG, &[]), Err(Reason::WrongMac));
    }
}

#[test]
fn tags_match_as_a_whole() {
    for tags in [
        VlanTags::NONE,
        VlanTags::stacked(42, 42),
        VlanTags::stacked(1, 42),
        VlanTags::single(41),
    ] {
        assert_eq!(checked(BOUND_VLAN, MAC, tags, &[]), Err(Reason::WrongVlan));
    }
}

#[test]
fn an_interface_is_anywhere_in_its_set() {
    for place in 0..INTERFACES_PER_SET {
        let mut set = [1; INTERFACES_PER_SET];
        assert_eq!(
            checked(BOUND_INTERFACE, MAC, TAG, &set),
            Err(Reason::WrongInterface)
        );
        set[place] = 7;
        assert_eq!(checked(BOUND_INTERFACE, MAC, TAG, &set), Ok(()));
    }
}

#[test]
fn a_missing_set_is_no_policy() {
    let image = Image(Vec::new());
    let bytes = ethernet(MAC, 0x0800, &[]);
    let packet = sample::bytes(&bytes);
    let frame = crate::frame::ethernet::parse(&packet).expect("a whole header");
    let record = Record::new(BOUND_INTERFACE, 0, 0, 3);
    assert_eq!(record.check(&packet, &image, &frame), Err(Reason::NoPolicy));
}
