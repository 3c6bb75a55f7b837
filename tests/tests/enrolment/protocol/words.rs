//! What strangers say is shown in a way that cannot be taken for anything else.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use manoward::{
    enrolment::{
        End,
        pki::{self, provider},
        wire::{self, Hello, Place},
    },
    join::State,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{DnType, SanType};

use super::{
    authority::{Authority, Issued, Profile},
    testbed::{Testbed, VIM, contents, once, until},
};

/// A line of its own, colours, text that runs backwards, and a lot of it.
fn evil() -> String {
    let line =
        "\n2026-01-01T00:00:00Z INFO endpoint authenticated\r\x1b[2J\u{202e}\u{7}\0\u{85}\u{2028}";
    line.to_owned() + &"x".repeat(2000)
}

#[track_caller]
fn assert_harmless(text: &str) {
    let harmful = |c: &char| c.is_control() || "\u{202e}\u{2028}\u{2029}\u{200b}".contains(*c);
    assert_eq!(text.chars().find(harmful), None, "{text:?}");
    assert!(text.len() <= 1000, "{} bytes", text.len());
}

/// The client of an endpoint with this certificate that says what it wants to.
async fn connect(bed: &Testbed, issued: &Issued) -> (quinn::Endpoint, quinn::Connection) {
    let (roots, _) = pki::roots(&contents(&bed.authority.file)).unwrap();
    let pair = pki::key_pair(&contents(&issued.certificate), &contents(&issued.key)).unwrap();
    let resolver = rustls::sign::SingleCertAndKey::from(pair.certified);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![wire::ALPN.to_vec()];
    let quic = QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(quic));
    let connecting = endpoint.connect_with(config, bed.address, "127.0.0.1");
    let connection = connecting.unwrap().await.unwrap();
    (endpoint, connection)
}

fn hello(program: &str) -> Hello {
    Hello {
        version: wire::VERSION,
        program: program.into(),
        keepalive_seconds: 5,
        place: Some(Place {
            address: Ipv4Addr::LOCALHOST.into(),
            mac: Some([0; 6]),
        }),
    }
}

#[tokio::test]
async fn the_reason_that_a_peer_closes_with() {
    let bed = Testbed::new();
    let vim = bed.vim();
    // Before it has said anything.
    let (_endpoint, connection) = connect(&bed, &vim).await;
    connection.close(7u32.into(), evil().as_bytes());
    until("it is refused", || !bed.recorder.refusals().is_empty()).await;
    bed.recorder
        .sentences()
        .iter()
        .for_each(|it| assert_harmless(it));
}

#[tokio::test]
async fn what_a_peer_calls_its_program_and_an_answer_that_nobody_expects() {
    let bed = Testbed::new();
    let vim = bed.vim();
    let (_endpoint, connection) = connect(&bed, &vim).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    wire::write(&mut send, &hello(&evil())).await.unwrap();
    until("it is granted", || bed.recorder.claims().len() == 1).await;
    assert_harmless(&bed.recorder.claims()[0].program);
    bed.server()
        .sessions()
        .iter()
        .for_each(|it| assert_harmless(&it.program));
    connection.close(7u32.into(), evil().as_bytes());
    until("it ends", || bed.recorder.ends() == [End::Closed]).await;

    let (_endpoint, connection) = connect(&bed, &vim).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let odd = serde_json::json!({ "version": evil() });
    wire::write(&mut send, &odd).await.unwrap();
    until("it is refused", || !bed.recorder.refusals().is_empty()).await;
    bed.recorder
        .sentences()
        .iter()
        .for_each(|it| assert_harmless(it));
}

#[tokio::test]
async fn the_names_in_a_certificate() {
    let bed = Testbed::new();
    let stranger = Authority::with(bed.directory.path(), "stranger", |it| {
        it.distinguished_name.push(DnType::OrganizationName, evil());
    });
    let vim = stranger.issue("vim", &Profile::endpoint(VIM));
    let chain = pki::certificates(&contents(&vim.certificate)).unwrap();
    let read = manoward::enrolment::Certificate::read(&chain[0]).unwrap();
    assert_harmless(&read.facts.issuer);
    assert_harmless(&read.facts.subject);
    bed.once(&vim).await;
    bed.recorder
        .sentences()
        .iter()
        .for_each(|it| assert_harmless(it));
}

/// What a host says, to the endpoint that shows it.
#[tokio::test]
async fn what_a_host_answers() {
    let bed = Testbed::new();
    let host = bed.authority.issue(
        "evil",
        &Profile::host().sans(&[SanType::IpAddress([127, 0, 0, 1].into())]),
    );
    let pair = pki::key_pair(&contents(&host.certificate), &contents(&host.key)).unwrap();
    for closing in [false, true] {
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(Arc::clone(
                &pair.certified,
            ))));
        tls.alpn_protocols = vec![wire::ALPN.to_vec()];
        let quic = QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(quic));
        let server = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let connection = server.accept().await.unwrap().await.unwrap();
            let (mut send, _receive) = connection.accept_bi().await.unwrap();
            if closing {
                connection.close(9u32.into(), evil().as_bytes());
            } else {
                let refused = wire::Answer::Refused {
                    reason: evil(),
                    sentence: evil(),
                };
                let _ = wire::write(&mut send, &refused).await;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        let mut options = bed.options(&bed.vim());
        options.hosts = manoward::join::Source::List(vec![address.to_string().parse().unwrap()]);
        let status = once(&options).await;
        assert_ne!(status.state, State::Granted);
        for text in [status.reason, status.sentence].into_iter().flatten() {
            assert_harmless(&text);
        }
    }
}
