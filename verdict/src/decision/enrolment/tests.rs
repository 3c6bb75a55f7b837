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
    state::{
        clock::ticks,
        flow::key::{CONNECTION, Key},
        sessions::{self, BEGUN_TICKS, SHOWN_TICKS},
        tag::tag,
    },
    tests::sample::{
        Bytes, ENROLMENT, HOST, Image, MAC, OTHER, PROVER, STRANGER, Table, VIM, ethernet, image,
        ipv4, udp,
    },
};

const IFINDEX: u32 = 7;

fn table() -> Table {
    Table::new(4096, image(false)).enrolling()
}

/// A datagram of so many bytes that begins so.
fn beginning(source: Ipv4, port: u16, mac: [u8; 6], first: [u8; 5], len: usize) -> Vec<u8> {
    let mut payload = udp(port, ENROLMENT);
    payload.extend(first);
    payload.resize(8 + len, 0);
    ethernet(mac, 0x0800, &ipv4(source, HOST, 17, &payload))
}

/// One that begins a handshake.
fn datagram(source: Ipv4, port: u16, mac: [u8; 6]) -> Vec<u8> {
    beginning(source, port, mac, [0xc3, 0, 0, 0, 1], 1200)
}

const KEY: [u64; 2] = [3, 4];

/// Gives the table a key, as the agent does.
fn with_key(table: Table) -> Table {
    for (word, value) in (sessions::KEY..).zip(KEY) {
        table.storage.limits[word as usize].set(value);
    }
    table
}

/// The Initial that answers a Retry to this address and port.
fn answering(to: Ipv4, to_port: u16, source: Ipv4, port: u16, mac: [u8; 6]) -> Vec<u8> {
    let mark = tag(KEY, [0, to.0.into(), to_port.into()]);
    let mut payload = udp(port, ENROLMENT);
    payload.extend([0xc3, 0, 0, 0, 1, 2, 0xaa, 0xbb, 0, 0x40, 82]);
    payload.extend(mark.to_be_bytes());
    payload.resize(8 + 1200, 0);
    ethernet(mac, 0x0800, &ipv4(source, HOST, 17, &payload))
}

/// Seconds of silence that a session outlives in these tests.
const SILENCE: u32 = 60;

/// MAC address of another machine.
const ELSEWHERE: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// Notes that the session from this port has proven who it is, as the agent does.
fn prove(table: &Table, port: u16) {
    let key = Key::new(
        CONNECTION,
        HOST,
        PROVER,
        17,
        u32::from(ENROLMENT) << 16 | u32::from(port),
    );
    let found = sessions::proven(table, key.hash(table.seed), SILENCE);
    let (origin, index, word) = found.expect("a session");
    assert_eq!(origin, Origin::new(mac_word(MAC), 0, IFINDEX));
    table.storage.limits[index as usize].set(word);
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
        LIMITS - sessions::WORDS,
        [DATAGRAMS, SESSIONS].len() as u32 + SOURCES_MASK + 1
    );
    const { assert!(DATAGRAMS < SOURCES && SESSIONS < SOURCES && DATAGRAMS != SESSIONS) };
}

#[test]
fn what_begins_no_handshake_passes_only_in_a_session() {
    let table = table();
    let others = [
        ([0xc3, 0, 0, 0, 1], 1199),
        ([0xc3, 0, 0, 0, 2], 1200),
        ([0xc3, 0x6b, 0x33, 0x43, 0xcf], 1200),
        ([0xe3, 0, 0, 0, 1], 1200),
        ([0x83, 0, 0, 0, 1], 1200),
        ([0x43, 0, 0, 0, 1], 1200),
        ([0; 5], 0),
    ];
    let judge = |&(first, len)| sent(&table, &beginning(PROVER, 1000, MAC, first, len)).reason();
    for other in &others {
        assert_eq!(judge(other), Reason::NotInitial, "{other:?}");
    }
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
    for other in &others {
        assert_eq!(judge(other), Reason::Permitted, "{other:?}");
    }
}

#[test]
fn sessions_take_no_place_from_flows() {
    let table = table();
    for port in 1..=NEW_OF_SOURCE as u16 {
        assert_eq!(reason(&table, PROVER, port), Reason::Permitted);
    }
    assert_eq!(table.flows().count(), 0);
}

/// Who takes an address at another place uses up nothing of its owner's.
#[test]
fn an_address_taken_elsewhere_has_a_limit_of_its_own() {
    let table = table();
    for port in 0..1000 {
        let _ = sent(&table, &datagram(PROVER, port, ELSEWHERE));
    }
    let one_more = sent(&table, &datagram(PROVER, 5000, ELSEWHERE));
    assert_eq!(one_more.reason(), Reason::RateLimited);
    for port in 6000..6000 + NEW_OF_SOURCE as u16 {
        assert_eq!(reason(&table, PROVER, port), Reason::Permitted);
    }
}

#[test]
fn a_session_lasts_a_second_then_as_long_as_a_handshake_then_as_long_as_the_agent_says() {
    let mut table = with_key(table());
    let elsewhere = |port| datagram(PROVER, port, ELSEWHERE);
    let ends_after = |table: &mut Table, port, ticks| {
        table.now += ticks;
        assert_eq!(sent(table, &elsewhere(port)).reason(), Reason::WrongMac);
        table.now += 1;
        assert_eq!(sent(table, &elsewhere(port)).reason(), Reason::Permitted);
    };
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
    ends_after(&mut table, 1000, BEGUN_TICKS);

    for already_begun in [true, false] {
        let port = 2000 + u16::from(already_begun);
        if already_begun {
            assert_eq!(reason(&table, PROVER, port), Reason::Permitted);
        }
        let answer = answering(PROVER, port, PROVER, port, MAC);
        assert_eq!(sent(&table, &answer).reason(), Reason::Permitted);
        ends_after(&mut table, port, SHOWN_TICKS);
    }

    assert_eq!(reason(&table, PROVER, 3000), Reason::Permitted);
    prove(&table, 3000);
    ends_after(&mut table, 3000, ticks(SILENCE));
}

/// Whoever begins a session in another's name does not keep it out: the Retry goes to the other.
#[test]
fn who_has_shown_where_it_receives_displaces_who_has_not() {
    let table = with_key(table());
    let stolen = datagram(PROVER, 1000, ELSEWHERE);
    assert_eq!(sent(&table, &stolen).reason(), Reason::Permitted);
    assert_eq!(reason(&table, PROVER, 1000), Reason::WrongMac);
    let answer = answering(PROVER, 1000, PROVER, 1000, MAC);
    assert_eq!(sent(&table, &answer).reason(), Reason::Permitted);
    assert_eq!(sent(&table, &stolen).reason(), Reason::WrongMac);
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
}

#[test]
fn a_mark_is_good_for_one_address_and_port_and_with_the_key() {
    let lasts = |table: &mut Table, answer: &[u8]| {
        assert_eq!(sent(table, answer).reason(), Reason::Permitted);
        table.now += BEGUN_TICKS + 1;
        sent(table, &datagram(PROVER, 1000, ELSEWHERE)).reason() == Reason::WrongMac
    };
    let sound = answering(PROVER, 1000, PROVER, 1000, MAC);
    assert!(lasts(&mut with_key(table()), &sound));
    assert!(!lasts(&mut table(), &sound), "there is no key");
    let of_other = answering(VIM, 1000, PROVER, 1000, MAC);
    assert!(!lasts(&mut with_key(table()), &of_other));
    let of_other_port = answering(PROVER, 1001, PROVER, 1000, MAC);
    assert!(!lasts(&mut with_key(table()), &of_other_port));
}

#[test]
fn what_is_refused_is_counted() {
    let table = table();
    for port in 0..10 + NEW_OF_SOURCE as u16 {
        let _ = reason(&table, PROVER, 1000 + port);
    }
    let _ = sent(&table, &beginning(PROVER, 9, MAC, [0; 5], 20));
    let refused = table.storage.limits[sessions::REFUSED as usize].get();
    assert_eq!(refused, 11);
}

/// More sessions than there are places for, within the time that each lasts.
#[test]
fn what_has_shown_nothing_makes_room_and_what_has_does_not() {
    let mut table = Table::new(4096, many()).enrolling();
    assert_eq!(reason(&table, PROVER, 1000), Reason::Permitted);
    assert_eq!(reason(&table, PROVER, 2000), Reason::Permitted);
    prove(&table, 1000);
    let mut begun = 0;
    let mut permitted = 0;
    while begun < sessions::WORDS / 2 {
        table.now = table
            .now
            .wrapping_add(u32::from(begun % NEW_IN_ALL == 0 && begun % 1024 == 0));
        let source = Ipv4(0x0a00_0000 + begun);
        permitted += u32::from(reason(&table, source, 7) == Reason::Permitted);
        table.storage.limits[SESSIONS as usize].set(0);
        begun += 1;
    }
    assert_eq!(permitted, begun, "each finds a place");
    let elsewhere = |port| sent(&table, &datagram(PROVER, port, ELSEWHERE)).reason();
    assert_eq!(elsewhere(1000), Reason::WrongMac, "it is still there");
    assert_eq!(elsewhere(2000), Reason::Permitted, "its place was taken");
}
