//! Identities: the URIs and DNS names in the SAN extension of a certificate.

use std::fmt;

/// Longest URI, in bytes (SPIFFE ID, section 2.3).
const LONGEST: usize = 2048;

/// One identity in its canonical form, so that equal identities are equal texts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Identity {
    /// A URI, for instance `spiffe://operator.example/vim/1`. Scheme and host are in lower case.
    Uri(String),
    /// A DNS name in lower case without a final dot.
    Dns(String),
}

impl Identity {
    /// Parses an identity: a text with a colon is a URI, any other a DNS name. `None` if it is not
    /// valid as that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            Self::uri(text)
        } else {
            Self::dns(text)
        }
    }

    /// The canonical form of a URI (RFC 3986, section 6.2.2.1); paths keep their case.
    #[must_use]
    pub fn uri(text: &str) -> Option<Self> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let mut letters = scheme.bytes();
        let begins_well = letters
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins_well || !letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let Some(rest) = rest.strip_prefix("//") else {
            return (!rest.is_empty()).then(|| Self::Uri(format!("{scheme}:{rest}")));
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (format!("{user}@"), host),
            None => (String::new(), authority),
        };
        if host.is_empty() {
            return None;
        }
        let host = host.to_ascii_lowercase();
        Some(Self::Uri(format!("{scheme}://{user}{host}{path}")))
    }

    /// The canonical form of a DNS name. `None` for a wildcard, which does not identify one
    /// endpoint.
    #[must_use]
    pub fn dns(text: &str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        (name.len() <= 253 && name.split('.').all(is_label))
            .then(|| Self::Dns(name.to_ascii_lowercase()))
    }

    /// The identity without its kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Uri(text) | Self::Dns(text) => text,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Option<String> {
        Identity::uri(text).map(|identity| identity.to_string())
    }

    #[test]
    fn only_scheme_and_host_lose_their_case() {
        assert_eq!(
            uri("SPIFFE://Operator.Example/VIM/1").as_deref(),
            Some("spiffe://operator.example/VIM/1")
        );
        assert_eq!(
            uri("https://Bob@A.B?Q").as_deref(),
            Some("https://Bob@a.b?Q")
        );
        assert_eq!(uri("URN:Nfv:Vim").as_deref(), Some("urn:Nfv:Vim"));
    }

    #[test]
    fn what_is_no_uri_is_no_identity() {
        for text in [
            "", ":", "urn:", "1a://x", "a b://x", "a://", "a:///x", "a://x\0", "a://ä",
        ] {
            assert_eq!(uri(text), None, "{text:?}");
        }
        assert_eq!(uri(&format!("a://{}", "x".repeat(LONGEST))), None);
    }

    #[test]
    fn names_are_in_lower_case_without_a_dot() {
        let vim = Identity::Dns("vim.example".into());
        assert_eq!(Identity::dns("VIM.example.").as_ref(), Some(&vim));
        assert_eq!(Identity::parse("vim.Example"), Some(vim));
        for text in ["", ".", "*.example", "a..b", "a b", "a\0b", &"a".repeat(64)] {
            assert_eq!(Identity::dns(text), None, "{text:?}");
        }
    }
}
