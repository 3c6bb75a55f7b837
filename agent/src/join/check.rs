//! Checks an endpoint's files before hosts are asked.

use std::{fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Credentials, Files, failure::seconds};
use crate::{
    enrolment::{
        Certificate,
        pki::{self, Contents, PkiError},
    },
    files::Owner,
};

/// How long before its expiry a certificate is reported.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No host will admit the endpoint.
    Error,
    /// It may work, but should be checked.
    Warning,
}

/// A problem of the files.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name.
    pub code: &'static str,
    /// What it is and what to do, in a sentence.
    pub sentence: String,
}

impl Finding {
    fn error(code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            sentence: sentence.into(),
        }
    }

    fn warning(code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            code,
            sentence: sentence.into(),
        }
    }
}

/// All findings about `files` now.
#[must_use]
pub fn files(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    let read = |file: &Path| Contents::read(file, Owner::Anyone);
    match read(&files.certificate).and_then(|it| pki::certificates(&it)) {
        Ok(chain) => match Certificate::read(&chain[0]) {
            Ok(leaf) => certificate(&leaf, &files.certificate, Timestamp::now(), &mut findings),
            Err(reason) => findings.push(Finding::error(
                "certificate-unusable",
                format!("{} is not usable: {reason}", files.certificate.display()),
            )),
        },
        Err(error) => findings.push(Finding::error("certificate-unusable", error.to_string())),
    }
    match read(&files.ca).and_then(|it| pki::roots(&it)) {
        Ok((_, authorities)) => {
            let now = Timestamp::now();
            for authority in authorities.iter().filter(|a| a.facts.not_after < now) {
                let sentence = format!(
                    "the authority `{}` in {} expired at {}. Add its successor",
                    authority.facts.subject,
                    files.ca.display(),
                    authority.facts.not_after
                );
                findings.push(Finding::warning("ca-expired", sentence));
            }
        }
        Err(error) => findings.push(Finding::error("ca-unusable", error.to_string())),
    }
    key(files, &mut findings);
    findings
}

fn certificate(leaf: &Certificate, file: &Path, now: Timestamp, findings: &mut Vec<Finding>) {
    let file = file.display();
    let facts = &leaf.facts;
    let here = seconds(now);
    if facts.not_after < now {
        let sentence = format!(
            "the certificate {file} expired at {}, and this machine's clock shows {here}. Get a new one, or set the clock",
            facts.not_after
        );
        findings.push(Finding::error("expired", sentence));
    } else if facts.not_before > now {
        let sentence = format!(
            "the certificate {file} is valid from {}, and this machine's clock shows {here}. Compare the clocks of this machine and of the authority",
            facts.not_before
        );
        findings.push(Finding::error("not-yet-valid", sentence));
    } else if facts.not_after.duration_since(now) < NOTICE {
        let sentence = format!(
            "the certificate {file} expires soon, at {}",
            facts.not_after
        );
        findings.push(Finding::warning("expires-soon", sentence));
    }
    if !leaf.for_clients {
        let sentence = format!(
            "the extended key usage of the certificate {file} does not include clientAuth. Get one that does"
        );
        findings.push(Finding::error("wrong-usage", sentence));
    }
    if let Some(fault) = &leaf.fault {
        let sentence = format!("{file} is of no use: {}. Get another one", fault.sentence);
        findings.push(Finding::error(fault.reason.name(), sentence));
    }
    if leaf.identities.is_empty() {
        let sentence = format!(
            "the certificate {file} has no URI and no DNS name as subject alternative name (SAN), so no policy can name it. Get one that has"
        );
        findings.push(Finding::error("no-san", sentence));
    }
    if leaf.self_signed {
        let sentence = format!(
            "the certificate {file} is self-signed. Get one from an authority in the hosts' CA bundle"
        );
        findings.push(Finding::error("self-signed", sentence));
    }
}

fn key(files: &Files, findings: &mut Vec<Finding>) {
    use std::os::unix::fs::PermissionsExt as _;

    if let Err(error) = Credentials::read(files) {
        let code = match &error {
            PkiError::Mismatch { .. } => "key-mismatch",
            _ => "key-unusable",
        };
        let finding = Finding::error(code, error.to_string());
        // Problems of the other files have been reported already.
        if !findings
            .iter()
            .any(|known| known.sentence == finding.sentence)
        {
            findings.push(finding);
        }
    }
    let mode = fs::metadata(&files.key).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        let key = files.key.display();
        let sentence = format!("everybody can read the key {key}. Restrict it: chmod 600 {key}");
        findings.push(Finding::warning("key-readable", sentence));
    }
}
