//! What the log records of enrolment, and the secrets that it never contains.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::agent::log;
use harness::agent::operator::{Operator, VIM_1, policy};
use harness::machine::wait;
use harness::net::capture::Capture;
use harness::net::station::{HOST, TENANT, VIM};
use harness::programs::certificate::Identity;
use harness::{Agent, Namespace, Policy, Topology};
use manoward::enrolment::wire;
use manoward_pki::{Name, Reason, Request, Validity, Which};
use time::{Duration, OffsetDateTime};

use super::{ONCE, PATIENCE};

/// Endpoints of a policy: the VIM, and one at the tenant's address; both need a certificate.
pub const WITH_VNFM: &str = "{
    vim-1: { role: vim, addresses: [192.0.2.10], authenticate: certificate,
             identity: \"spiffe://operator.example/vim/1\" },
    vnfm-1: { role: vnfm, addresses: [192.0.2.90], authenticate: certificate,
              identity: \"spiffe://operator.example/vnfm/1\" } }";

/// Waits for the log's line about an enrolment with this outcome and reason, whose fields it
/// returns.
pub fn line(
    agent: &Agent<'_>,
    outcome: &str,
    reason: Option<&str>,
) -> Result<BTreeMap<String, String>> {
    let mut found = None;
    wait::until(&true, PATIENCE, || {
        found = log::records(&agent.log()).into_iter().rfind(|fields| {
            let has = |key: &str, value: &str| fields.get(key).is_some_and(|it| it == value);
            has("event", "enrolment")
                && has("outcome", outcome)
                && reason.is_none_or(|reason| has("reason", reason))
        });
        Ok(found.is_some())
    })
    .with_context(|| format!("{outcome} {reason:?} in the log: {}", agent.log()))?;
    found.context("a line")
}

/// Checks what Anuket's mon.001 asks for, beside the outcome and the date.
pub fn assert_fields(fields: &BTreeMap<String, String>, from: Ipv4Addr, identity: &str) {
    for (key, value) in [
        ("protocol", "quic"),
        ("service", "enrolment"),
        ("identity", identity),
        ("source_address", &from.to_string()),
        ("destination_address", &HOST.v4.to_string()),
        ("destination_port", &wire::PORT.to_string()),
    ] {
        assert_eq!(
            fields.get(key).map(String::as_str),
            Some(value),
            "{key} of {fields:?}"
        );
    }
    let port = fields
        .get("source_port")
        .and_then(|port| port.parse::<u16>().ok());
    assert!(port.is_some_and(|port| port > 0), "{fields:?}");
}

#[test]
fn every_outcome_is_logged_and_no_secret() -> Result<()> {
    let operator = Operator::new()?;
    let stranger = Operator::new()?;
    let scene = Topology::new()?;
    let bastion = "spiffe://operator.example/bastion/1";
    let other = operator.issue("bastion-1", bastion)?;
    let now = OffsetDateTime::now_utc();
    let expired = operator.issue_to(&Request {
        validity: Validity::Between(now - Duration::DAY, now - Duration::HOUR),
        ..Request::endpoint("vim-1-old", [Name::uri(VIM_1)?])
    })?;
    let revoked = operator.issue("vim-1-lost", VIM_1)?;
    let lost = Which::Named("vim-1-lost".to_owned());
    operator.authority.revoke(&lost, Reason::KeyCompromise)?;
    let policy = Policy {
        endpoints: WITH_VNFM,
        ..policy()
    };
    let mut agent = operator.agent(&scene.host, &policy)?;
    agent.restart_logging("debug")?;
    let mut capture = Capture::start(&scene.switch, VIM)?;

    let once = |from: &Namespace, with: &Identity| -> Result<bool> {
        let join = operator.join(from, with, &["--once"])?;
        Ok(join.finish(ONCE)?.status.success())
    };
    assert!(once(&scene.vim, &operator.vim)?);
    let fields = line(&agent, "success", None)?;
    assert_fields(&fields, VIM.v4, VIM_1);
    assert_eq!(fields["endpoint"], "vim-1");
    for (with, reason, identity) in [
        (&stranger.vim, "unknown-ca", VIM_1),
        (&other, "no-matching-identity", bastion),
        (&revoked, "revoked", VIM_1),
        (&expired, "expired", VIM_1),
    ] {
        assert!(!once(&scene.vim, with)?, "{reason}");
        assert_fields(&line(&agent, "failure", Some(reason))?, VIM.v4, identity);
    }
    assert!(!once(&scene.tenant, &operator.vim)?);
    let fields = line(&agent, "failure", Some("wrong-address"))?;
    assert_fields(&fields, TENANT.v4, VIM_1);

    let text = agent.log();
    assert!(text.contains("DEBUG"), "the log says little: {text}");
    for owner in [
        &operator.host,
        &operator.vim,
        &stranger.vim,
        &other,
        &expired,
        &revoked,
    ] {
        assert_absent(&text, &key(&owner.key)?);
        let certificate = fs::read_to_string(&owner.certificate)?;
        assert!(!text.contains(certificate.lines().nth(1).context("a line")?));
    }
    assert!(!text.contains("-----BEGIN"), "PEM");
    let answers = capture.take()?.answers;
    let tokens: Vec<_> = answers.iter().filter_map(|answer| token(answer)).collect();
    ensure!(!tokens.is_empty(), "no Retry in {} answers", answers.len());
    for token in tokens {
        assert_absent(&text, token);
    }
    Ok(())
}

/// The content of a file with a private key, as text and decoded.
fn key(file: &Path) -> Result<Vec<u8>> {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    let key = PrivateKeyDer::from_pem_file(file).context("a private key")?;
    Ok(key.secret_der().to_vec())
}

/// The token of a Retry packet (RFC 9000, 17.2.5), which ends with an integrity tag.
fn token(datagram: &[u8]) -> Option<&[u8]> {
    const TAG: usize = 16;
    let (&first, rest) = datagram.split_first()?;
    if first & 0xf0 != 0xf0 {
        return None;
    }
    let (_version, rest) = rest.split_at_checked(4)?;
    let (&length, rest) = rest.split_first()?;
    let (&length, rest) = rest.split_at_checked(length.into())?.1.split_first()?;
    let token = rest.split_at_checked(length.into())?.1;
    token.get(..token.len().checked_sub(TAG)?)
}

/// Checks that no part of `secret` is in the text: as hexadecimal, as a list of bytes, or escaped.
fn assert_absent(text: &str, secret: &[u8]) {
    /// So many bytes do not match by chance.
    const PART: usize = 12;
    // The first bytes of a key tell its kind, which is no secret.
    let secret = &secret[secret.len() / 4..];
    let lower = text.to_lowercase();
    for part in secret.windows(PART) {
        let hexadecimal = part.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let list = format!("{part:?}");
        let list = list.trim_matches(['[', ']']);
        let escaped = part.escape_ascii().to_string();
        for form in [hexadecimal.as_str(), list, &escaped] {
            assert!(
                !lower.contains(&form.to_lowercase()),
                "a secret is in the log: {form}"
            );
        }
    }
}
