//! What the process says that somebody has proven, as far as it can be true.

use super::message::FromProcess;
use crate::enrolment::{Claim, Facts, Identity, SessionId};

/// Most identities of a certificate.
const IDENTITIES: usize = 64;

/// The claim, as `session`, if it can be one: every text is one that may be shown, and nothing is longer than
/// what a certificate may hold.
pub(super) fn checked(heard: FromProcess, session: SessionId) -> Option<Claim> {
    let FromProcess::Claim {
        remote,
        local,
        identities,
        certificate,
        chain,
        until,
        program,
        stated,
        ..
    } = heard
    else {
        return None;
    };
    let Facts {
        subject,
        issuer,
        serial,
        fingerprint,
        ..
    } = &certificate;
    let texts = [subject, issuer, &program]
        .into_iter()
        .all(|it| is_shown(it));
    let numbers = is_hexadecimal(serial) && is_hexadecimal(fingerprint) && fingerprint.len() == 64;
    let pem = chain
        .bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte));
    if !texts || !numbers || !pem || identities.len() > IDENTITIES {
        return None;
    }
    let identities = identities.iter().map(|it| Identity::parse(it));
    Some(Claim {
        session,
        remote,
        local,
        identities: identities.collect::<Option<_>>()?,
        certificate,
        chain: chain.into(),
        until,
        program,
        stated,
    })
}

/// Whether it is text as [`wire::shortened`] leaves it.
fn is_shown(text: &str) -> bool {
    text.chars().count() <= 400 && !text.chars().any(char::is_control)
}

fn is_hexadecimal(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use std::io;

    use super::*;
    use crate::{
        enrolment::wire::Place,
        prover::message::{self, LONGEST},
    };

    fn claim(change: impl FnOnce(&mut Facts, &mut Vec<String>, &mut String)) -> FromProcess {
        let mut certificate = Facts {
            subject: "CN=vim".into(),
            issuer: "CN=authority".into(),
            serial: "0a".into(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::UNIX_EPOCH,
            fingerprint: "0b".repeat(32),
        };
        let mut identities = vec!["spiffe://operator.example/vim/1".to_owned()];
        let mut chain = "-----BEGIN CERTIFICATE-----\n".to_owned();
        change(&mut certificate, &mut identities, &mut chain);
        FromProcess::Claim {
            session: 7,
            remote: ([192, 0, 2, 10], 50_000).into(),
            local: [192, 0, 2, 17].into(),
            identities,
            certificate,
            chain,
            until: Timestamp::MAX,
            program: "manoward".into(),
            stated: Place {
                address: [192, 0, 2, 10].into(),
                mac: None,
            },
        }
    }

    #[test]
    fn a_claim_that_no_certificate_can_make_is_not_believed() {
        let checked = |claim| checked(claim, SessionId(1));
        assert!(checked(claim(|_, _, _| {})).is_some());
        let forged = [
            claim(|facts, _, _| facts.subject = "CN=vim\nroot logged in".into()),
            claim(|facts, _, _| facts.issuer = "x".repeat(401)),
            claim(|facts, _, _| facts.serial = "../../etc".into()),
            claim(|facts, _, _| facts.fingerprint.truncate(8)),
            claim(|_, identities, _| identities.push("no identity\u{7}".into())),
            claim(|_, identities, _| *identities = vec!["a.example".into(); 65]),
            claim(|_, _, chain| chain.push('\u{1b}')),
            FromProcess::Problems(Vec::new()),
        ];
        for (number, forged) in forged.into_iter().enumerate() {
            assert!(checked(forged).is_none(), "{number}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_read() {
        let long = (LONGEST as u32 + 1).to_be_bytes();
        let read = message::read::<FromProcess>(&mut &long[..], LONGEST).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let torn = [0, 0, 0, 9, b'{'];
        assert!(
            message::read::<FromProcess>(&mut &torn[..], LONGEST)
                .await
                .is_err()
        );
        assert!(
            message::read::<FromProcess>(&mut &[][..], LONGEST)
                .await
                .unwrap()
                .is_none()
        );
    }
}
