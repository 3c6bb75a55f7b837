//! Writes the generated seeds of the targets `packet` and `enrolment`: frames of the grammar that
//! the comparison of host and kernel uses, one input for each outcome, and a TLS `ClientHello`.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use harness::judge::differential::{grammar::Grammar, policies, reversal::reversed};
use manoward::enrolment::{pki::provider, wire};
use rustls::{
    ClientConfig, RootCertStore,
    quic::{ClientConnection, Version},
};
use targets::packet;

/// Inputs that are tried under each policy.
const TRIED: u64 = 60_000;

fn main() -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folder = corpus.join("packet");
    fs::create_dir_all(&folder)?;
    let all = [
        policies::small()?,
        policies::audited()?,
        policies::bound()?,
        policies::proven()?,
        policies::open()?,
        policies::places()?,
    ];
    let mut seen = BTreeSet::new();
    for (choice, policy) in (0_u8..).zip(&all) {
        let mut grammar = Grammar::new(policy, 1);
        for number in 0..TRIED {
            let input = input(choice, number, &mut grammar);
            let before = seen.len();
            packet::for_each(&input, |outcome| {
                seen.insert((outcome.code(), outcome.audited(), outcome.rule() != 0));
            });
            if seen.len() > before {
                fs::write(folder.join(format!("outcome-{choice}-{number}")), input)?;
            }
        }
    }
    println!("{} outcomes", seen.len());
    fs::create_dir_all(corpus.join("enrolment"))?;
    fs::write(corpus.join("enrolment/client-hello"), client_hello()?)?;
    Ok(())
}

/// Frames in, reversed frames out, and the frames in again.
fn input(choice: u8, number: u64, grammar: &mut Grammar) -> Vec<u8> {
    let flags = (number % 4) as u8 * 8;
    let mut input = vec![choice | flags, (number / 4 % 8) as u8];
    for _ in 0..=number % 2 {
        let frame = grammar.frame();
        if frame.len() > 400 {
            continue;
        }
        let pause = number / 32 % 8;
        let head = |direction: u16, bytes: &[u8]| {
            (direction | (pause as u16) << 12 | bytes.len() as u16).to_be_bytes()
        };
        for (direction, bytes) in [(0, frame.clone()), (0x8000, reversed(&frame)), (0, frame)] {
            input.extend(head(direction, &bytes));
            input.extend(bytes);
        }
    }
    input
}

/// A CRYPTO frame (RFC 9000, section 19.6) with a `ClientHello`.
fn client_hello() -> Result<Vec<u8>> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    let name = "host.example".try_into()?;
    // initial_max_data and initial_source_connection_id (empty), as the server wants them.
    let parameters = vec![0x04, 0x02, 0x40, 0xff, 0x0f, 0x00];
    let mut client = ClientConnection::new(Arc::new(config), Version::V1, name, parameters)?;
    let mut hello = Vec::new();
    client.write_hs(&mut hello);
    let length = u16::try_from(hello.len()).context("a short message")?;
    let mut frame = vec![0x06, 0x00];
    frame.extend((length | 0x4000).to_be_bytes());
    frame.extend(hello);
    let mut input = vec![1, 0];
    input.extend(u16::try_from(frame.len())?.to_be_bytes());
    input.extend(frame);
    Ok(input)
}
