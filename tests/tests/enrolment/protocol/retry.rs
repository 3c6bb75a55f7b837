//! The host keeps no state for peers whose address is not validated (RFC 9000, section 8).

use std::{net::UdpSocket, time::Duration};

use manoward::join::{Host, Join, Source};

use super::testbed::{Testbed, until};

/// The first datagram of a real endpoint.
async fn initial(bed: &Testbed) -> Vec<u8> {
    let trap = UdpSocket::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let mut options = bed.options(&bed.vim());
    options.hosts = Source::List(vec![Host {
        name: "127.0.0.1".into(),
        port: trap.local_addr().unwrap().port(),
    }]);
    let _join = Join::start(options, |_| {}).unwrap();
    let mut datagram = [0; 2048];
    let mut length = None;
    until("an endpoint calls", || {
        length = trap.recv(&mut datagram).ok();
        length.is_some()
    })
    .await;
    datagram[..length.unwrap()].to_vec()
}

#[tokio::test]
async fn an_unvalidated_address_gets_a_retry_and_nothing_else() {
    let bed = Testbed::new();
    let initial = initial(&bed).await;
    assert_eq!(initial[0] & 0xf0, 0xc0, "an Initial packet of QUIC 1");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut retries = 0;
    for _ in 0..100 {
        socket.send_to(&initial, bed.address).unwrap();
        let mut answer = [0; 2048];
        tokio::time::sleep(Duration::from_millis(2)).await;
        while let Ok(length) = socket.recv(&mut answer) {
            assert_eq!(answer[0] & 0xf0, 0xf0, "a Retry packet");
            assert_eq!(answer[1..5], [0, 0, 0, 1], "of QUIC 1");
            assert!(length < initial.len() / 4, "{length} bytes amplify nothing");
            retries += 1;
        }
    }
    assert!(retries >= 90, "{retries}");
    let counts = bed.server().counts();
    assert_eq!(counts.handshakes, 0);
    assert_eq!((counts.in_progress, counts.sessions), (0, 0));
    assert!(counts.retries >= 100);
    assert!(bed.recorder.entries().is_empty());
}

#[tokio::test]
async fn the_address_of_every_session_is_validated() {
    let bed = Testbed::new();
    let vim = bed.vim();
    for round in 1..=3 {
        bed.once(&vim).await;
        let counts = bed.server().counts();
        assert_eq!((counts.retries, counts.handshakes), (round, round));
        assert_eq!(counts.granted, round);
    }
}
