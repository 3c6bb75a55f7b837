use std::vec::Vec;

use crate::{
    decision::{
        enrolment::{
            DATAGRAMS, DATAGRAMS_IN_ALL, DATAGRAMS_OF_SESSION, LIMITS, NEW_IN_ALL, NEW_OF_SOURCE,
            SESSIONS, SOURCES, SOURCES_MASK,
        },
        fast, full,
        path::Undecided,
    },
    frame::{address::Ipv4, ethernet::mac_word, origin::Origin},
    image::endpoint::Peer,
    reason::{Outcome, Reason},
    tests::sample::{
        Bytes, ENROLMENT, HOST, Image, MAC, OTHER, PROVER, STRANGER, Table, VIM, ethernet, image,
        ipv4, udp,
    },
};

const IFINDEX: u32 = 7;

fn table() -> Table {
    Table::new(4096, image(false)).enrolling()
}

fn datagram(source: Ipv4, port: u16, mac: [u8; 6]) -> Vec<u8> {
    ethernet(mac, 0x0800, &ipv4(source, HOST, 17, &udp(port, ENROLMENT)))
}

fn sent(table: &Table, bytes: &[u8]) -> Outcome {
    let frame = Bytes {
        bytes,
        vlan: None,
        ifindex: IFINDEX,
    };
    assert_eq!(fast::inbound(&frame, &table.tables, table), Err(Undecided));
    full::inbound(&frame, &table.tables, table)
}

fn reason(table: &Table, source: Ipv4, port: u16) -> Reason {
    sent(table, &datagram(source, port, MAC)).reason()
}

#[test]
fn whoever_has_to_prove_who_it_is_may() {
    let outcome = sent(&table(), &datagram(PROVER, 50_000, MAC));
    assert_eq!(outcome, Outcome::new(Reason::Permitted, false, 5, 4));
}

#[test]
fn nobody_else_has_business_there() {
    let table = table();
    let judge = |source| {
        let bytes = datagram(source, 50_000, MAC);
        full::inbound(
            &Bytes {
                bytes: &bytes,
                vlan: None,
                ifindex: IFINDEX,
            },
            &table.tables,
            &table,
        )
    };
    assert_eq!(judge(STRANGER).reason(), Reason::UnknownSource);
    assert_eq!(judge(VIM).reason(), Reason::WrongRole);
    assert_eq!(judge(OTHER).reason(), Reason::WrongRole);
}

#[test]
fn a_session_comes_from_one_place() {
    let table = table();
    assert_eq!(reason(&table, PROVER, 50_000), Reason::Permitted);
    let [a, b, c, d, e, f] = MAC;
    let impostor = datagram(PROVER, 50_000, [a, b, c, d, e, f ^ 1]);
    assert_eq!(sent(&table, &impostor).reason(), Reason::WrongMac);
    assert_eq!(reason(&table, PROVER, 50_000), Reason::Permitted);
}

#[test]
fn a_source_begins_few_sessions_at_once() {
    let mut table = table();
    for port in 0..NEW_OF_SOURCE as u16 {
        assert_eq!(reason(&table, PROVER, 1000 + port), Reason::Permitted);
    }
    assert_eq!(reason(&table, PROVER, 2000), Reason::RateLimited);
    assert_eq!(
        reason(&table, PROVER, 1000),
        Reason::Permitted,
        "it goes on"
    );
    table.now += 1;
    assert_eq!(reason(&table, PROVER, 2000), Reason::Permitted);
}

#[test]
fn a_session_sends_no_more_than_a_proof_takes() {
    let mut table = table();
    for _ in 0..DATAGRAMS_OF_SESSION {
        assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
    }
    assert_eq!(reason(&table, PROVER, 1000), Reason::RateLimited);
    table.now += 1;
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
}

/// An image in which every address of 10.0.0.0/8 is that of the endpoint that has to prove itself.
fn many() -> Image {
    let prover = Peer::new(4, 1, true).0;
    image(false).with_endpoints(&[(Ipv4(0x0a00_0000), 8, prover), (PROVER, 32, prover)])
}

#[test]
fn all_together_begin_no_more_than_the_agent_can_take() {
    let mut table = Table::new(4096, many()).enrolling();
    let mut begun = 0;
    for number in 0..4 * NEW_IN_ALL {
        begun += u32::from(reason(&table, Ipv4(0x0a00_0000 + number), 1000) == Reason::Permitted);
    }
    assert_eq!(begun, NEW_IN_ALL);
    table.now += 1;
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
}

#[test]
fn whoever_holds_a_lease_is_heard_in_a_flood() {
    let mut table = Table::new(4096, many()).enrolling();
    let origin = Origin::new(mac_word(MAC), 0, IFINDEX);
    table.give(PROVER, 4, origin, 2000);
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
    let session = |number: u32| Ipv4(0x0a00_0000 + number);
    for number in 0..NEW_IN_ALL {
        reason(&table, session(number), 1000);
    }
    let mut admitted = 0;
    for _ in 1..DATAGRAMS_OF_SESSION {
        for number in 0..NEW_IN_ALL {
            admitted += u32::from(reason(&table, session(number), 1000) == Reason::Permitted);
        }
    }
    assert!(admitted < DATAGRAMS_IN_ALL, "{admitted}");
    assert_eq!(reason(&table, session(0), 1000), Reason::RateLimited);
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
}

#[test]
fn every_source_has_a_limit() {
    assert!(SOURCES_MASK.trailing_ones() == SOURCES_MASK.count_ones());
    assert_eq!(
        LIMITS,
        [DATAGRAMS, SESSIONS].len() as u32 + SOURCES_MASK + 1
    );
    const { assert!(DATAGRAMS < SOURCES && SESSIONS < SOURCES && DATAGRAMS != SESSIONS) };
}
