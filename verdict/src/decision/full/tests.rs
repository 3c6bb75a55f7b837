use std::{vec, vec::Vec};

use super::*;
use crate::frame::address::{Ipv4, Ipv6};
use crate::image::{fixed::HEADER, header::word, service::ServiceKey};
use crate::reason::Verdict;
use crate::tests::sample::{
    self, BOUND, BROADCAST, Bytes, GRE, HOST, HOST6, INTERFACES, Image, MAC, NTP, OTHER, SSH,
    STRANGER, Table, VIM, VIM6, VLAN, WATCHED, ethernet, icmp, image, ipv4, ipv6, served, tcp, udp,
};

mod discovery;
mod fragments;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

fn outcome(image: &Image, frame: &[u8]) -> Outcome {
    inbound(&sample::bytes(frame), image, &Table::new(1, image.clone()))
}

/// Of an IPv4 packet, under a policy that enforces.
fn v4(source: Ipv4, destination: Ipv4, protocol: u8, transport: &[u8]) -> Outcome {
    let packet = ipv4(source, destination, protocol, transport);
    outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
}

/// Of an IPv6 packet that `change` is made to, under a policy that enforces.
fn v6(next: u8, transport: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut packet = ipv6(VIM6, HOST6, next, transport);
    change(&mut packet);
    outcome(&image(false), &ethernet(MAC, 0x86dd, &packet))
}

fn syn(port: u16) -> Vec<u8> {
    tcp(port, 2)
}

fn passed(reason: Reason, rule: u16, endpoint: u32) -> Outcome {
    Outcome::new(reason, false, rule, endpoint)
}

fn drop(reason: Reason) -> Outcome {
    Outcome::new(reason, false, 0, 0)
}

#[test]
fn what_is_not_for_the_host_passes() {
    let unprotected = passed(Reason::Unprotected, 0, 0);
    assert_eq!(v4(STRANGER, Ipv4(HOST.0 + 1), TCP, &syn(SSH)), unprotected);
    assert_eq!(v4(STRANGER, Ipv4(HOST.0 + 1), TCP, &[]), unprotected);
    let other = ethernet(MAC, 0x88cc, &[]);
    assert_eq!(outcome(&image(false), &other), passed(Reason::NotIp, 0, 0));
}

#[test]
fn an_endpoint_with_the_role_is_permitted() {
    let permitted = passed(Reason::Permitted, 1, 1);
    assert_eq!(v4(VIM, HOST, TCP, &syn(SSH)), permitted);
    assert_eq!(v6(TCP, &syn(SSH), |_| ()), permitted);
    assert_eq!(v4(VIM, HOST, GRE, &[]), passed(Reason::Permitted, 3, 1));
}

#[test]
fn others_are_not() {
    let unknown = Outcome::new(Reason::UnknownSource, false, 1, 0);
    assert_eq!(v4(STRANGER, HOST, TCP, &syn(SSH)), unknown);
    let wrong_role = Outcome::new(Reason::WrongRole, false, 1, 3);
    assert_eq!(v4(OTHER, HOST, TCP, &syn(SSH)), wrong_role);
    assert_eq!(v4(VIM, HOST, TCP, &syn(23)), drop(Reason::NoService));
    assert_eq!(v4(VIM, HOST, UDP, &udp(1, SSH)), drop(Reason::NoService));
    assert_eq!(v4(VIM, HOST, 89, &[]), drop(Reason::NoService));
}

#[test]
fn an_established_connection_is_judged_like_a_new_one() {
    for flags in [0x10, 0x12, 0x04, 0x11] {
        let outcome = v4(STRANGER, HOST, TCP, &tcp(SSH, flags));
        assert_eq!(outcome.reason(), Reason::UnknownSource);
    }
}

#[test]
fn a_bound_endpoint_comes_from_where_it_is_bound() {
    let packet = ipv4(BOUND, HOST, TCP, &syn(SSH));
    let tagged = ethernet(MAC, 0x8100, &[&[0, VLAN as u8, 8, 0], &packet[..]].concat());
    let judged = |bytes: &[u8], ifindex| {
        let frame = Bytes {
            bytes,
            vlan: None,
            ifindex,
        };
        inbound(&frame, &image(false), &Table::new(1, image(false)))
    };
    for ifindex in INTERFACES {
        assert_eq!(judged(&tagged, ifindex), passed(Reason::Permitted, 1, 2));
    }
    let wrong = |reason| Outcome::new(reason, false, 1, 2);
    assert_eq!(judged(&tagged, 8), wrong(Reason::WrongInterface));
    let untagged = ethernet(MAC, 0x0800, &packet);
    assert_eq!(judged(&untagged, 7), wrong(Reason::WrongVlan));
    let foreign = ethernet([2; 6], 0x8100, &tagged[14..]);
    assert_eq!(judged(&foreign, 7), wrong(Reason::WrongMac));
}

#[test]
fn the_mode_of_the_rule_governs_its_violations() {
    for audit in [false, true] {
        let judged = |source, port| {
            let packet = ipv4(source, HOST, UDP, &udp(1, port));
            outcome(&image(audit), &ethernet(MAC, 0x0800, &packet))
        };
        let audited = Outcome::new(Reason::UnknownSource, true, 2, 0);
        assert_eq!(judged(STRANGER, WATCHED), audited);
        assert_eq!(judged(STRANGER, WATCHED).verdict(), Verdict::Pass);
        assert_eq!(judged(OTHER, WATCHED), passed(Reason::Permitted, 2, 3));
        let ungoverned = Outcome::new(Reason::NoService, audit, 0, 0);
        assert_eq!(judged(OTHER, 9), ungoverned);
    }
}

#[test]
fn a_broken_policy_is_never_audited() {
    // The endpoints of IPv6 are the image's last line, so this frame needs all of it.
    let frame = ethernet(MAC, 0x86dd, &ipv6(VIM6, HOST6, TCP, &syn(SSH)));
    let whole = image(true);
    assert_eq!(outcome(&whole, &frame), passed(Reason::Permitted, 1, 1));
    for lines in 0..whole.0.len() {
        let mut broken = whole.clone();
        broken.0.truncate(lines);
        let outcome = outcome(&broken, &frame);
        assert_eq!(outcome, Outcome::NO_POLICY, "{lines} lines");
        assert_eq!(outcome.verdict(), Verdict::Drop);
    }
}

#[test]
fn without_a_flow_nothing_answers_the_host() {
    let no_flow = Outcome::new(Reason::NoFlow, false, 4, 1);
    let mut answer = tcp(40_000, 0x12);
    answer[..2].copy_from_slice(&NTP.to_be_bytes());
    assert_eq!(v4(VIM, HOST, TCP, &answer), no_flow);
    assert_eq!(v4(VIM, HOST, UDP, &udp(NTP, 40_000)), no_flow);
    assert_eq!(v4(VIM, HOST, ICMP, &icmp(0)), no_flow);
    let unknown = Outcome::new(Reason::UnknownSource, false, 4, 0);
    assert_eq!(v4(STRANGER, HOST, UDP, &udp(NTP, 40_000)), unknown);
    let wrong = Outcome::new(Reason::WrongRole, false, 4, 3);
    assert_eq!(v4(OTHER, HOST, UDP, &udp(NTP, 40_000)), wrong);
    assert_eq!(
        v4(STRANGER, HOST, TCP, &tcp(40_000, 0x12)),
        drop(Reason::NoService)
    );
    assert_eq!(v4(VIM, HOST, ICMP, &icmp(3)), drop(Reason::IcmpUnrelated));
    assert_eq!(v6(ICMPV6, &icmp(2), |_| ()), drop(Reason::IcmpUnrelated));
    assert_eq!(v4(VIM, HOST, ICMP, &icmp(5)), drop(Reason::IcmpRedirect));
}

#[test]
fn who_may_ping_decides_nothing_about_errors_and_redirects() {
    let mut image = image(false);
    for kind in 0..=u8::MAX {
        image.serve(ServiceKey::icmp::<Ipv4>(kind, 0), served(3, false));
        image.serve(ServiceKey::icmp::<Ipv6>(kind, 0), served(3, false));
    }
    let v4 = |source, kind| {
        let packet = ipv4(source, HOST, ICMP, &icmp(kind));
        outcome(&image, &ethernet(MAC, 0x0800, &packet))
    };
    let v6 = |kind| {
        let packet = ipv6(sample::v6(0x666), HOST6, ICMPV6, &icmp(kind));
        outcome(&image, &ethernet(MAC, 0x86dd, &packet))
    };
    let unrelated = drop(Reason::IcmpUnrelated);
    let unknown = Outcome::new(Reason::UnknownSource, false, 3, 0);
    assert_eq!((v4(VIM, 3), v6(2)), (unrelated, unrelated));
    assert_eq!(
        (v4(VIM, 0), v6(129)),
        (drop(Reason::NoService), drop(Reason::NoService))
    );
    assert_eq!((v4(STRANGER, 8), v6(128)), (unknown, unknown));
    assert_eq!(v4(VIM, 8), passed(Reason::Permitted, 3, 1));
}

#[test]
fn flags_that_no_segment_has_are_refused_under_the_rule_of_the_service() {
    let refused = Outcome::new(Reason::TcpFlags, false, 1, 1);
    let permitted = passed(Reason::Permitted, 1, 1);
    let plain = |flags| v4(VIM, HOST, TCP, &tcp(SSH, flags));
    for flags in [0, 0x03, 0x06, 0x29, 0x01, 0x20, 0x08, 0x3f, 0xc0] {
        assert_eq!(plain(flags), refused, "{flags:#x}");
    }
    for flags in [0x02, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x13, 0xc2, 0x30] {
        assert_eq!(plain(flags), permitted, "{flags:#x}");
    }
    // Who may not ask is refused for that.
    let stranger = v4(STRANGER, HOST, TCP, &tcp(SSH, 0));
    assert_eq!(stranger, Outcome::new(Reason::UnknownSource, false, 1, 0));
}

/// Of a SYN to the host's SSH port with these IPv4 options.
fn with_options(options: &[u8]) -> Outcome {
    let mut packet = ipv4(VIM, HOST, TCP, &tcp(SSH, 0x02));
    packet[0] = 0x45 + options.len() as u8 / 4;
    let len = packet.len() as u16 + options.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet.splice(20..20, options.iter().copied());
    outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
}

#[test]
fn options_that_prescribe_a_route_are_refused() {
    let permitted = passed(Reason::Permitted, 1, 1);
    for kind in [131, 137] {
        let route = [kind, 7, 4, 203, 0, 113, 1];
        for before in [&[][..], &[1], &[1, 1, 1, 1, 1], &[148, 4, 0, 0], &[7, 3, 4]] {
            for after in [0, 1] {
                let mut options = [before, &route].concat();
                options.resize(options.len().next_multiple_of(4), after);
                assert_eq!(with_options(&options), drop(Reason::SourceRoute));
            }
        }
        // The last of as many as there can be; and one that hides behind the end.
        let mut last = vec![1; 36];
        last.extend([kind, 3, 4, 0]);
        assert_eq!(with_options(&last), drop(Reason::SourceRoute));
        assert_eq!(with_options(&[0, kind, 3, 4]), permitted);
        // Within another option.
        assert_eq!(with_options(&[148, 8, kind, 3, 4, 0, 0, 0]), permitted);
    }
    for (broken, why) in [
        ([148, 0, 0, 0], "no length"),
        (
            [148, 1, 0, 0],
            "a length that ends before the option's data",
        ),
        ([1, 148, 4, 0], "a length that leads behind the header"),
    ] {
        assert_eq!(with_options(&broken), drop(Reason::Ipv4Header), "{why}");
    }
    for fine in [[1; 40], [0; 40]] {
        assert_eq!(with_options(&fine), permitted);
    }
}

/// A super-packet has more bytes than a length of 16 bits can say, which is then 0 (and IPv6 may have a
/// jumbo payload option). On a wire such a header is broken.
#[test]
fn the_length_of_a_super_packet_is_that_of_its_buffer() {
    const WHOLE: usize = 65_536;
    let permitted = passed(Reason::Permitted, 1, 1);
    let segment = |len| {
        let mut segment = tcp(SSH, 0x10);
        segment.resize(len, 7);
        segment
    };
    let v4 = |len: usize| {
        let mut packet = ipv4(VIM, HOST, TCP, &[]);
        packet.extend(segment(len - 20));
        packet[2..4].fill(0);
        outcome(&image(false), &ethernet(MAC, 0x0800, &packet))
    };
    assert_eq!((v4(WHOLE), v4(180_000)), (permitted, permitted));
    for len in [40, 1500, 9000, WHOLE - 1] {
        assert_eq!(v4(len), drop(Reason::Ipv4Header), "{len}");
    }
    let v6 = |len: usize, jumbo: bool| {
        let mut packet = ipv6(VIM6, HOST6, if jumbo { 0 } else { TCP }, &[]);
        if jumbo {
            packet.extend([TCP, 0, 0xc2, 4, 0, 0, 0, 0]);
        }
        packet.extend(segment(len - packet.len()));
        packet[4..6].fill(0);
        outcome(&image(false), &ethernet(MAC, 0x86dd, &packet))
    };
    for jumbo in [false, true] {
        assert_eq!(
            (v6(WHOLE, jumbo), v6(180_000, jumbo)),
            (permitted, permitted)
        );
    }
    for len in [80, 1500, 9000, WHOLE - 1] {
        assert_eq!(v6(len, false), drop(Reason::TransportTruncated), "{len}");
        assert_eq!(v6(len, true), drop(Reason::ExtensionTruncated), "{len}");
    }
}

#[test]
fn nothing_comes_to_the_loopback_interface() {
    let refused = drop(Reason::LoopbackAddress);
    for address in [0x7f00_0001, 0x7f00_0000, 0x7fff_ffff, 0x7f01_0203] {
        for source in [VIM, STRANGER] {
            let outcome = v4(source, Ipv4(address), TCP, &tcp(SSH, 0x02));
            assert_eq!(outcome, refused, "{address:x}");
        }
    }
    for (address, expected) in [
        (0x7eff_ffff, Reason::Unprotected),
        (0x8000_0000, Reason::Unprotected),
    ] {
        let outcome = v4(VIM, Ipv4(address), TCP, &tcp(SSH, 0x02));
        assert_eq!(outcome.reason(), expected, "{address:x}");
    }
    let to = |low| {
        v6(TCP, &tcp(SSH, 0x02), |packet| {
            packet[24..40].copy_from_slice(&u128::to_be_bytes(low));
        })
    };
    assert_eq!(to(1), refused);
    assert_eq!(
        (to(2).reason(), to(1 << 64 | 1).reason()),
        (Reason::Unprotected, Reason::Unprotected)
    );
}

#[test]
fn a_type_and_code_of_icmp_is_asked_for_by_itself() {
    let mut image = image(false);
    image.serve(ServiceKey::icmp::<Ipv4>(8, 0), served(3, false));
    image.serve(ServiceKey::icmp::<Ipv6>(128, 0), served(3, false));
    image.serve(ServiceKey::icmp::<Ipv4>(42, 15), served(3, false));
    let message = |kind, code| [&[kind, code][..], &[0; 6]].concat();
    let v4 = |protocol, kind, code| {
        let packet = ipv4(VIM, HOST, protocol, &message(kind, code));
        outcome(&image, &ethernet(MAC, 0x0800, &packet))
    };
    let v6 = |protocol, kind, code| {
        let packet = ipv6(VIM6, HOST6, protocol, &message(kind, code));
        outcome(&image, &ethernet(MAC, 0x86dd, &packet))
    };
    let permitted = passed(Reason::Permitted, 3, 1);
    assert_eq!((v4(ICMP, 8, 0), v6(ICMPV6, 128, 0)), (permitted, permitted));
    assert_eq!(
        (v4(ICMP, 42, 15), v4(ICMP, 42, 255)),
        (permitted, permitted)
    );
    let none = drop(Reason::NoService);
    for (kind, code) in [
        (13, 0),
        (15, 0),
        (17, 0),
        (8, 1),
        (42, 14),
        (9, 0),
        (128, 0),
    ] {
        assert_eq!(v4(ICMP, kind, code), none, "type {kind}, code {code}");
    }
    for (kind, code) in [(139, 0), (128, 1), (8, 0), (144, 0)] {
        assert_eq!(v6(ICMPV6, kind, code), none, "type {kind}, code {code}");
    }
    // The ICMP of the other family is none of these.
    assert_eq!((v4(ICMPV6, 128, 0), v6(ICMP, 8, 0)), (none, none));
}

#[test]
fn a_group_is_judged_where_it_asks_for_a_service() {
    let unprotected = passed(Reason::Unprotected, 0, 0);
    // 0.0.0.0 is delivered like a broadcast to whoever sends from it (RFC 1122, 3.3.6).
    for group in [BROADCAST, Ipv4(0xe000_0005), Ipv4(u32::MAX), Ipv4(0)] {
        let watched = v4(STRANGER, group, UDP, &udp(1, WATCHED));
        assert_eq!(watched, Outcome::new(Reason::UnknownSource, true, 2, 0));
        assert_eq!(v4(STRANGER, group, UDP, &udp(1, 9)), unprotected);
        assert_eq!(v4(STRANGER, group, 89, &[]), unprotected);
    }
    let to_all_nodes = |p: &mut Vec<u8>| p[24..26].copy_from_slice(&[0xff, 2]);
    assert_eq!(v6(ICMPV6, &icmp(143), to_all_nodes), drop(Reason::HopLimit));
    assert_eq!(
        v6(TCP, &syn(SSH), to_all_nodes),
        passed(Reason::Permitted, 1, 1)
    );
}

#[test]
fn a_short_transport_header_is_truncated() {
    for (protocol, len) in [(TCP, 20), (UDP, 8), (ICMP, 8), (132, 12)] {
        let short = v4(VIM, HOST, protocol, &vec![0; len - 1]);
        assert_eq!(short, drop(Reason::TransportTruncated), "{protocol}");
        let whole = v4(VIM, HOST, protocol, &vec![0; len]);
        assert_ne!(whole.reason(), Reason::TransportTruncated, "{protocol}");
    }
}

#[test]
fn a_frame_that_ends_before_the_ports_is_truncated() {
    let frame = ethernet(MAC, 0x0800, &ipv4(VIM, HOST, TCP, &syn(SSH)));
    for end in 0..frame.len() {
        let expected = match end {
            0..14 => drop(Reason::EthernetTruncated),
            14..34 => drop(Reason::Ipv4Truncated),
            // Up to the flags.
            34..48 => drop(Reason::TransportTruncated),
            _ => passed(Reason::Permitted, 1, 1),
        };
        assert_eq!(outcome(&image(false), &frame[..end]), expected, "{end}");
    }
}
