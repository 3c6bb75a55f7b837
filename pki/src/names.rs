//! Subject alternative names.

use std::{fmt, net::IpAddr};

use rcgen::SanType;
use serde::Serialize;
use thiserror::Error;

use crate::PkiError;

/// The scheme of SPIFFE IDs.
const SPIFFE: &str = "spiffe://";
/// Octets of a SPIFFE ID at most.
const SPIFFE_OCTETS: usize = 2048;

/// Why a text cannot be a subject alternative name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{name}` {reason}")]
pub struct NameError {
    name: String,
    reason: &'static str,
}

/// A subject alternative name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// A URI, such as `spiffe://operator.example/vim/1`.
    Uri(String),
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// Another type of name, as text.
    Other(String),
}

impl Name {
    /// A URI; a SPIFFE ID must have a path, as those of workloads do.
    pub fn uri(text: &str) -> Result<Self, NameError> {
        let reason = match (text.strip_prefix(SPIFFE), text.split_once(':')) {
            (Some(id), _) => wrong_in_spiffe_id(id),
            (None, Some((scheme, rest))) => wrong_in_uri(scheme, rest),
            (None, None) => {
                Some("is no URI: it has no scheme, as in spiffe://operator.example/vim")
            }
        };
        named(text, reason, Self::Uri)
    }

    /// A DNS name.
    pub fn dns(text: &str) -> Result<Self, NameError> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|sign| sign.is_ascii_alphanumeric() || sign == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let reason = if text.parse::<IpAddr>().is_ok() {
            Some("is an address: give it with --ip")
        } else if text.contains('*') {
            Some("is a wildcard: name every host")
        } else if text.len() > 253 || !text.split('.').all(is_label) {
            Some("is no DNS name: it has labels of letters, digits and hyphens between dots")
        } else {
            None
        };
        named(text, reason, Self::Dns)
    }

    /// Whether it is a SPIFFE ID.
    #[must_use]
    pub fn is_spiffe(&self) -> bool {
        matches!(self, Self::Uri(uri) if uri.starts_with(SPIFFE))
    }

    /// Its form in a certificate.
    pub(crate) fn san(&self) -> Result<SanType, PkiError> {
        Ok(match self {
            Self::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Ip(address) => SanType::IpAddress(*address),
            Self::Other(name) => {
                return Err(PkiError::request(
                    format!("`{name}` is no name for a certificate"),
                    "give a URI, a DNS name or an IP address",
                ));
            }
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(name) | Self::Dns(name) | Self::Other(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

fn named(
    text: &str,
    reason: Option<&'static str>,
    name: impl FnOnce(String) -> Name,
) -> Result<Name, NameError> {
    match reason {
        None => Ok(name(text.to_owned())),
        Some(reason) => Err(NameError {
            name: text.to_owned(),
            reason,
        }),
    }
}

fn wrong_in_uri(scheme: &str, rest: &str) -> Option<&'static str> {
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|sign| sign.is_ascii_alphanumeric() || b"+-.".contains(&sign));
    if !is_scheme {
        Some("is no URI: its scheme has other characters than letters, digits, +, - and .")
    } else if scheme.eq_ignore_ascii_case("spiffe") {
        Some("is no SPIFFE ID: it must begin with spiffe:// in lower case")
    } else if rest.is_empty() || !rest.bytes().all(|sign| sign.is_ascii_graphic()) {
        Some("is no URI: visible ASCII characters must follow the scheme")
    } else {
        None
    }
}

/// What keeps a text after `spiffe://` from being the ID of a workload (SPIFFE-ID, 2; X509-SVID,
/// 4).
fn wrong_in_spiffe_id(id: &str) -> Option<&'static str> {
    let is_domain_sign =
        |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || b"-._".contains(&sign);
    let is_path_sign = |sign: u8| sign.is_ascii_alphanumeric() || b"-._".contains(&sign);
    let (domain, path) = id.split_once('/').unwrap_or((id, ""));
    if SPIFFE.len() + id.len() > SPIFFE_OCTETS {
        Some("is no SPIFFE ID: it is longer than 2048 octets")
    } else if domain.is_empty() || domain.len() > 255 || !domain.bytes().all(is_domain_sign) {
        Some(
            "is no SPIFFE ID: its trust domain has 1 to 255 lower-case letters, digits, -, . and _",
        )
    } else if path.is_empty() {
        Some("names a trust domain only: add a path, as in spiffe://operator.example/vim/1")
    } else if path
        .split('/')
        .any(|segment| segment.is_empty() || segment == "." || segment == "..")
    {
        Some("is no SPIFFE ID: a segment of its path is empty, `.` or `..`")
    } else if !path
        .split('/')
        .all(|segment| segment.bytes().all(is_path_sign))
    {
        Some("is no SPIFFE ID: its path has other characters than letters, digits, -, . and _")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_of_workloads() {
        for right in [
            "spiffe://operator.example/vim/1",
            "spiffe://a_b-1/x.Y_z",
            "https://vim.example/x",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        ] {
            assert!(Name::uri(right).is_ok(), "{right}");
        }
        for wrong in [
            "spiffe://operator.example",
            "spiffe://operator.example/",
            "spiffe://operator.example/vim/",
            "spiffe://operator.example//vim",
            "spiffe://operator.example/../vim",
            "spiffe://Operator.example/vim",
            "spiffe://operator.example:443/vim",
            "spiffe://user@operator.example/vim",
            "spiffe://operator.example/vim?x=1",
            "spiffe:///vim",
            "SPIFFE://operator.example/vim",
            "vim-1",
            "x:",
            "a b:c",
        ] {
            assert!(Name::uri(wrong).is_err(), "{wrong}");
        }
        let long = format!("spiffe://operator.example/{}", "a".repeat(2048));
        assert!(Name::uri(&long).is_err());
    }

    #[test]
    fn dns_names() {
        for right in ["vim-1.operator.example", "localhost", "1.example"] {
            assert!(Name::dns(right).is_ok(), "{right}");
        }
        for wrong in ["", "a..b", "-a.b", "a_b", "*.example", "192.0.2.1", "::1"] {
            assert!(Name::dns(wrong).is_err(), "{wrong}");
        }
        let error = Name::dns("192.0.2.1").unwrap_err().to_string();
        assert!(error.contains("--ip"), "{error}");
    }
}
