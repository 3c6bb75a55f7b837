//! What the host serves is remembered, for errors about what it has sent.

use super::super::sample::GRE;
use super::{errors::error, *};
use crate::state::{
    flow::{Key, key::CONNECTION},
    served::Served,
};

/// Number of the rule that lets the VIM send these.
const GRE_RULE: u16 = 3;

fn served(host: &Host) -> Vec<Served> {
    let sets = host.0.storage.served.iter();
    sets.flat_map(crate::state::served::Set::read).collect()
}

/// An error from a stranger about what the host has sent.
fn about(host: &Host, quoted: &[u8]) -> Outcome {
    host.takes(&v4(STRANGER, HOST, ICMP, &error(3, quoted)))
}

#[test]
fn an_error_about_what_was_never_sent_is_refused() {
    let mut host = Host::enforcing();
    let tunnelled = ipv4(HOST, VIM, GRE, &[0; 8]);
    let unrelated = under(Reason::IcmpUnrelated, GRE_RULE, 1);
    assert_eq!(about(&host, &tunnelled), unrelated);
    let asks = v4(VIM, HOST, GRE, &[0; 8]);
    assert_eq!(host.takes(&asks), under(Reason::Permitted, GRE_RULE, 1));
    let related = under(Reason::IcmpError, GRE_RULE, 1);
    assert_eq!(about(&host, &tunnelled), related);
    host.0.now += LASTS;
    assert_eq!(about(&host, &tunnelled), related);
    host.0.now += 1;
    assert_eq!(about(&host, &tunnelled), unrelated);
    // What the host sends first counts, too.
    let sent = host.sends(&v4(HOST, VIM, GRE, &[0; 8]));
    assert_eq!(sent, under(Reason::Reply, GRE_RULE, 1));
    assert_eq!(about(&host, &tunnelled), related);
}

#[test]
fn only_what_begins_is_remembered_of_whom_a_rule_permits() {
    let host = Host::enforcing();
    for flags in [ACK, SYN | ACK] {
        let _ = host.takes(&v4(VIM, HOST, TCP, &segment(OWN, SSH, flags)));
    }
    for stranger in [STRANGER, OTHER] {
        let _ = host.takes(&v4(stranger, HOST, TCP, &segment(OWN, SSH, SYN)));
        let _ = host.takes(&v4(stranger, HOST, GRE, &[0; 8]));
        let _ = host.sends(&v4(HOST, stranger, GRE, &[0; 8]));
    }
    assert_eq!(served(&host), []);
    let _ = host.takes(&v4(VIM, HOST, TCP, &segment(OWN, SSH, SYN)));
    let [found] = served(&host)[..] else {
        panic!("{:?}", served(&host));
    };
    let ports = (found.key.local_port(), found.key.remote_port());
    assert_eq!((ports, found.begun), ((SSH, OWN), host.0.now));
}

#[test]
fn a_datagram_refreshes_what_is_remembered_once_in_a_while() {
    let mut host = Host::enforcing();
    let asks = v4(VIM, HOST, GRE, &[0; 8]);
    let begun = host.0.now;
    for (later, refreshed) in [(0, begun), (1, begun), (ticks(1), begun + 1 + ticks(1))] {
        host.0.now += later;
        let _ = host.takes(&asks);
        let [found] = served(&host)[..] else {
            panic!("{:?}", served(&host));
        };
        assert_eq!((found.begun, found.refreshed), (begun, refreshed));
    }
}

/// Path MTU discovery is never lost because the memory was full.
#[test]
fn where_something_had_to_make_room_errors_pass() {
    let mut host = Host::enforcing();
    let _ = host.takes(&v4(VIM, HOST, GRE, &[0; 8]));
    for port in 1..2000 {
        host.0.now += 1;
        let _ = host.takes(&v4(VIM, HOST, TCP, &segment(port, SSH, SYN)));
    }
    let tunnelled = Key::new(CONNECTION, HOST, VIM, GRE, 0);
    assert!(served(&host).iter().all(|found| found.key != tunnelled));
    let quoted = ipv4(HOST, VIM, GRE, &[0; 8]);
    let related = under(Reason::IcmpError, GRE_RULE, 1);
    assert_eq!(about(&host, &quoted), related);
    host.0.now += LASTS + 1;
    let unrelated = under(Reason::IcmpUnrelated, GRE_RULE, 1);
    assert_eq!(about(&host, &quoted), unrelated);
}
