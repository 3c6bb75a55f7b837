//! What is learnt from frames.

use std::net::SocketAddr;

use super::*;
use crate::{
    frame::{ether_type, ip_header},
    policy::read,
};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0xbb, 1];

fn frame(to: IpAddr) -> Vec<u8> {
    let mut frame = vec![2; 6];
    frame.extend(MAC);
    frame.extend(ether_type(to));
    frame
}

fn ends(from: &str, to: &str) -> [SocketAddr; 2] {
    [from, to].map(|end| end.parse().unwrap())
}

/// A TCP segment; SYN, ACK and RST are set as they stand in `flags`.
fn tcp(from: &str, to: &str, flags: &str) -> Vec<u8> {
    let [from, to] = ends(from, to);
    let mut segment = ip_header(from.ip(), to.ip())
        .unwrap()
        .tcp(from.port(), to.port(), 1, 9);
    if flags.contains('S') {
        segment = segment.syn();
    }
    if flags.contains('A') {
        segment = segment.ack(2);
    }
    if flags.contains('R') {
        segment = segment.rst();
    }
    let mut bytes = frame(to.ip());
    segment.write(&mut bytes, &[]).unwrap();
    bytes
}

fn udp(from: &str, to: &str) -> Vec<u8> {
    let [from, to] = ends(from, to);
    let datagram = ip_header(from.ip(), to.ip())
        .unwrap()
        .udp(from.port(), to.port());
    let mut bytes = frame(to.ip());
    datagram.write(&mut bytes, &[1]).unwrap();
    bytes
}

fn host() -> Host {
    Host {
        name: "host".to_owned(),
        interfaces: vec!["eth0".to_owned()],
        links: vec!["192.0.2.0/24".parse().unwrap()],
        watched: "in a test".to_owned(),
        grouped: false,
    }
}

#[test]
fn what_is_answered_is_learnt_and_what_is_not_is_left_out() {
    let mut learner = Learner::new(["192.0.2.17".parse().unwrap()]);
    for bytes in [
        tcp("192.0.2.10:40000", "192.0.2.17:22", "S"),
        tcp("192.0.2.17:22", "192.0.2.10:40000", "SA"),
        tcp("192.0.2.10:40000", "192.0.2.17:22", "A"),
        tcp("192.0.2.17:41000", "198.51.100.9:7100", "S"),
        tcp("198.51.100.9:7100", "192.0.2.17:41000", "SA"),
        udp("192.0.2.17:42000", "192.0.2.53:53"),
        udp("192.0.2.53:53", "192.0.2.17:42000"),
        // A scan: refused, and unanswered.
        tcp("203.0.113.5:1", "192.0.2.17:80", "S"),
        tcp("192.0.2.17:80", "203.0.113.5:1", "RA"),
        udp("203.0.113.5:1", "192.0.2.17:161"),
    ] {
        learner.see(&bytes, "eth0");
    }
    let text = learner.draft().text(&host());
    let policy = read(&text, "draft.yaml")
        .unwrap_or_else(|error| panic!("{error:?}\n{text}"))
        .policy;
    assert_eq!(policy.endpoints.len(), 3, "{text}");
    assert_eq!(policy.endpoints["peer-192.0.2.10"].binding.mac, Some(MAC));
    assert_eq!(policy.endpoints["peer-198.51.100.9"].binding.mac, None);
    let services: Vec<_> = policy
        .reference_points
        .iter()
        .map(|point| &*point.services[0])
        .collect();
    assert!(
        ["ssh", "dns", "tcp-7100"]
            .iter()
            .all(|name| services.contains(name)),
        "{text}"
    );
    assert!(text.contains("DECIDE"));
    assert!(!text.contains("203.0.113.5"), "{text}");
}

#[test]
fn neighbours_are_put_together_only_when_asked() {
    let mut learner = Learner::new(["192.0.2.17".parse().unwrap()]);
    for peer in ["192.0.2.10:4000", "192.0.2.11:4000", "198.51.100.1:4000"] {
        learner.see(&tcp(peer, "192.0.2.17:22", "S"), "eth0");
        learner.see(&tcp("192.0.2.17:22", peer, "SA"), "eth0");
    }
    let endpoints = |grouped| {
        let text = learner.draft().text(&Host { grouped, ..host() });
        read(&text, "draft.yaml").unwrap().policy.endpoints.len()
    };
    assert_eq!((endpoints(false), endpoints(true)), (3, 2));
}
