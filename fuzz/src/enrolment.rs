//! What unauthenticated peers can send to the agent's enrolment port, and the readers of
//! certificates and revocation lists.
//!
//! The first byte selects the reader of the others.

mod initial;
mod server;

use manoward::enrolment::{
    Certificate, Identity,
    pki::{self, Contents},
    wire::{self, Answer, Hello, WireError},
};
use rustls_pki_types::CertificateDer;
use serde::{Serialize, de::DeserializeOwned};

/// Reads `data` with the reader that its first byte selects.
pub fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => server::datagrams(data),
        1 => server::initials(data),
        2 => message::<Hello>(data),
        3 => message::<Answer>(data),
        4 => certificate(data),
        5 => drop(pki::revocation_lists(&contents(data))),
        6 => drop(pki::roots(&contents(data))),
        _ => identity(data),
    }
}

/// A message: four bytes of length, and JSON. One that is understood must survive being written and
/// read again.
fn message<T>(data: &[u8])
where
    T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    let Some((&length, text)) = data.split_first_chunk() else {
        return;
    };
    let Ok(length) = wire::decode_length(length) else {
        return;
    };
    assert!(length <= wire::LIMIT);
    let Ok(message) = wire::parse::<T>(&text[..text.len().min(length)]) else {
        return;
    };
    match wire::frame(&message) {
        Ok(frame) => {
            let again = wire::parse::<T>(&frame[4..]);
            assert!(again.is_ok_and(|again| again == message), "{message:?}");
        }
        // Escapes may be longer than what they stand for.
        Err(error) => assert!(matches!(error, WireError::TooLong(_)), "{error}"),
    }
}

/// A certificate as a peer presents it. Its identities must be in canonical form.
fn certificate(data: &[u8]) {
    let Ok(read) = Certificate::read(&CertificateDer::from(data)) else {
        return;
    };
    for identity in &read.identities {
        let text = identity.as_str();
        let again = match identity {
            Identity::Uri(_) => Identity::uri(text),
            Identity::Dns(_) => Identity::dns(text),
        };
        assert_eq!(again.as_ref(), Some(identity));
    }
    let _ = format!("{read:?}");
    let _ = wire::shortened(&read.facts.subject);
}

/// An identity as it stands in a policy.
fn identity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(identity) = Identity::parse(text) {
        let again = Identity::parse(identity.as_str());
        assert_eq!(again, Some(identity));
    }
    let shortened = wire::shortened(text);
    assert!(!shortened.chars().any(char::is_control));
}

/// A file with these bytes.
fn contents(data: &[u8]) -> Contents {
    Contents {
        file: "file.pem".into(),
        bytes: data.to_vec(),
    }
}
