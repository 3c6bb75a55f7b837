//! What unauthenticated and misbehaving peers can do to the port.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use manoward::{
    enrolment::{HANDSHAKE, Reason, pki, wire},
    join::State,
};
use quinn::{Connection, ConnectionError, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{sign::SingleCertAndKey, version::TLS13};

use super::{
    authority::Issued,
    testbed::{Testbed, contents, until},
};

/// Connects with settings that `manoward join` does not use.
async fn connect(
    bed: &Testbed,
    issued: Option<&Issued>,
    protocol: &[u8],
) -> Result<(Endpoint, Connection), ConnectionError> {
    let (roots, _) = pki::roots(&contents(&bed.authority.file)).unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(pki::provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match issued {
        Some(issued) => {
            let pair =
                pki::key_pair(&contents(&issued.certificate), &contents(&issued.key)).unwrap();
            tls.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified)))
        }
        None => tls.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![protocol.to_vec()];
    let quic = QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(quic));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let connecting = endpoint
        .connect_with(config, bed.address, "localhost")
        .unwrap();
    let connection = connecting.await?;
    Ok((endpoint, connection))
}

/// Sends bytes in place of a message; returns how the host closes the connection.
async fn say(bed: &Testbed, bytes: &[u8]) -> ConnectionError {
    let vim = bed.vim();
    let (_endpoint, connection) = connect(bed, Some(&vim), wire::ALPN).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    connection.closed().await
}

#[tokio::test]
async fn no_certificate() {
    let bed = Testbed::new();
    let (_endpoint, connection) = connect(&bed, None, wire::ALPN).await.unwrap();
    let error = connection.closed().await;
    assert!(
        matches!(error, ConnectionError::ConnectionClosed(_)),
        "{error}"
    );
    until("it is refused", || {
        bed.recorder.refusals() == [Reason::NoCertificate]
    })
    .await;
}

#[tokio::test]
async fn another_protocol() {
    let bed = Testbed::new();
    let vim = bed.vim();
    assert!(connect(&bed, Some(&vim), b"h3").await.is_err());
    until("it is refused", || {
        bed.recorder.refusals() == [Reason::Protocol]
    })
    .await;
}

#[tokio::test]
async fn malformed_messages() {
    let bed = Testbed::new();
    for (index, bytes) in [
        b"".as_slice(),
        &[0, 0, 0, 9, b'{'],
        &[0, 0, 0, 2, b'{', b'}'],
        &[0xff; 8],
        &[0, 0, 0x10, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let error = say(&bed, bytes).await;
        let ConnectionError::ApplicationClosed(close) = &error else {
            panic!("{bytes:?}: {error}");
        };
        assert_eq!(close.error_code, wire::PROTOCOL, "{bytes:?}");
        assert_eq!(bed.recorder.refusals(), vec![Reason::Protocol; index + 1]);
    }
    assert!(bed.recorder.claims().is_empty());
}

#[tokio::test]
async fn another_version() {
    let bed = Testbed::new();
    let text = br#"{"version":2,"program":"x","keepalive_seconds":1}"#;
    let mut bytes = vec![0, 0, 0, text.len() as u8];
    bytes.extend_from_slice(text);
    let error = say(&bed, &bytes).await;
    assert!(error.to_string().contains("protocol"), "{error}");
    assert_eq!(bed.recorder.refusals(), [Reason::Protocol]);
}

#[tokio::test]
async fn a_peer_that_is_silent_after_the_handshake_is_dropped() {
    let bed = Testbed::with(|_, config| config.max_handshakes_per_source = 1);
    let vim = bed.vim();
    let began = Instant::now();
    let (_endpoint, connection) = connect(&bed, Some(&vim), wire::ALPN).await.unwrap();
    let (_other, second) = match connect(&bed, Some(&vim), wire::ALPN).await {
        Ok(_) => panic!("one handshake is in progress already"),
        Err(error) => ((), error),
    };
    assert!(
        matches!(second, ConnectionError::ConnectionClosed(_)),
        "{second}"
    );
    assert_eq!(bed.recorder.refusals(), [Reason::RateLimited]);
    assert_eq!(bed.once(&vim).await.reason.as_deref(), Some("busy"));
    connection.closed().await;
    let took = began.elapsed();
    assert!(took > HANDSHAKE / 2 && took < HANDSHAKE * 2, "{took:?}");
    assert_eq!(bed.recorder.refusals().last(), Some(&Reason::Timeout));
    until("its place is free", || {
        bed.server().counts().in_progress == 0
    })
    .await;
    assert_eq!(bed.once(&vim).await.state, State::Granted);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_dropped() {
    let bed = Testbed::with(|_, config| config.idle_timeout = Duration::from_mins(1));
    let vim = bed.vim();
    // Datagrams are forwarded until the endpoint's address is validated; then no more.
    let middle = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let outside = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut options = bed.options(&vim);
    let port = middle.local_addr().unwrap().port();
    options.hosts =
        manoward::join::Source::List(vec![format!("127.0.0.1:{port}").parse().unwrap()]);
    let _join = manoward::join::Join::start(options, |_| {}).unwrap();
    let (mut datagram, mut answer) = ([0; 2048], [0; 2048]);
    let mut endpoint = None;
    while bed.server().counts().in_progress == 0 {
        tokio::select! {
            received = middle.recv_from(&mut datagram) => {
                let (length, from) = received.unwrap();
                endpoint = Some(from);
                outside.send_to(&datagram[..length], bed.address).await.unwrap();
            }
            received = outside.recv(&mut answer) => {
                let length = received.unwrap();
                middle.send_to(&answer[..length], endpoint.unwrap()).await.unwrap();
            }
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    let began = Instant::now();
    until("the handshake is dropped", || {
        bed.server().counts().in_progress == 0
    })
    .await;
    let took = began.elapsed();
    assert!(took > HANDSHAKE / 2 && took < HANDSHAKE * 2, "{took:?}");
    assert_eq!(bed.recorder.refusals(), [Reason::Timeout]);
}

#[tokio::test]
async fn random_datagrams_do_no_harm() {
    let bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = resident();
    for round in 0..30_000_u32 {
        let length = fastrand::usize(0..1400);
        let mut datagram: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(length)
            .collect();
        if round % 2 == 0 && length > 5 {
            // It looks like an Initial packet of QUIC 1 until its tag is checked.
            datagram[0] = 0xc0 | (datagram[0] & 0x0f);
            datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
            datagram[5] %= 21;
        }
        // The kernel may have no room for more.
        let _ = stranger.send_to(&datagram, bed.address);
        if round % 64 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let counts = bed.server().counts();
    assert_eq!(
        (counts.handshakes, counts.sessions, counts.in_progress),
        (1, 1, 0)
    );
    assert!(bed.recorder.ends().is_empty());
    assert_eq!(join.status().granted, 1);
    assert_eq!(bed.once(&bed.vim()).await.state, State::Granted);
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
