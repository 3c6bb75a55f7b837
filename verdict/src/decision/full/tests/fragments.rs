//! First and later fragments.

use super::*;

/// An IPv4 packet at this offset, in units of 8 bytes.
fn fragment(source: Ipv4, protocol: u8, offset: u16) -> Outcome {
    let mut packet = ipv4(source, HOST, protocol, &[0; 32]);
    packet[6..8].copy_from_slice(&offset.to_be_bytes());
    outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
}

#[test]
fn early_fragments_come_from_whoever_holds_a_permission() {
    assert_eq!(fragment(VIM, UDP, 1), passed(Reason::Fragment, 0, 1));
    assert_eq!(fragment(OTHER, UDP, 1), passed(Reason::Fragment, 0, 3));
    assert_eq!(
        fragment(STRANGER, UDP, 1),
        drop(Reason::FragmentUnpermitted)
    );
    assert_eq!(
        fragment(BOUND, UDP, 1),
        Outcome::new(Reason::WrongVlan, false, 0, 2)
    );
}

#[test]
fn a_role_without_any_permission_has_no_later_fragments() {
    let mut image = image(false);
    image.0[HEADER as usize][word::ROLES] = 0b010;
    let judged = |source| {
        let mut packet = ipv4(source, HOST, UDP, &[0; 32]);
        packet[7] = 1;
        outcome(&image, &ethernet(MAC, 0x0800, &packet))
    };
    let unpermitted = Outcome::new(Reason::FragmentUnpermitted, false, 0, 3);
    assert_eq!(judged(OTHER), unpermitted);
    assert_eq!(judged(VIM), passed(Reason::Fragment, 0, 1));
}

#[test]
fn later_fragments_do_not_reach_into_the_transport_header() {
    assert_eq!(fragment(VIM, TCP, 1), drop(Reason::FragmentOverlap));
    assert_eq!(fragment(VIM, TCP, 2), drop(Reason::FragmentOverlap));
    assert_eq!(fragment(VIM, TCP, 3), passed(Reason::Fragment, 0, 1));
}

#[test]
fn a_first_fragment_holds_the_transport_header() {
    let first = |len: usize| {
        let mut packet = ipv4(VIM, HOST, TCP, &syn(SSH)[..len]);
        packet[6] = 0x20;
        outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
    };
    assert_eq!(first(20), passed(Reason::Permitted, 1, 1));
    assert_eq!(first(19), drop(Reason::FragmentTiny));
    assert_eq!(first(8), drop(Reason::FragmentTiny));
}

#[test]
fn fragments_to_a_group_of_the_link_come_from_endpoints() {
    let judged = |source, group, position: u16| {
        let mut packet = ipv4(source, group, UDP, &[0; 32]);
        packet[6..8].copy_from_slice(&position.to_be_bytes());
        outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
    };
    let (to_all, routed) = (Ipv4(0xe000_0001), Ipv4(0xef01_0203));
    let unprotected = passed(Reason::Unprotected, 0, 0);
    for position in [0x2000, 0x2001, 1] {
        for group in [to_all, BROADCAST, Ipv4(u32::MAX)] {
            let stranger = judged(STRANGER, group, position);
            assert_eq!(stranger, drop(Reason::FragmentUnpermitted), "{position:x}");
            assert_eq!(judged(VIM, group, position), unprotected);
        }
        assert_eq!(judged(STRANGER, routed, position), unprotected);
    }
    assert_eq!(judged(STRANGER, to_all, 0), unprotected);
}
