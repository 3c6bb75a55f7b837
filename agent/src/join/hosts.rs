//! The hosts to enrol at.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

use crate::{
    enrolment::wire::PORT,
    files::{self, Owner},
};

/// Why the hosts cannot be read.
#[derive(Debug, Error)]
pub enum HostsError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a valid host.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: HostError,
    },
    /// The file has no host.
    #[error("{file} has no host. Write one host or host:port per line")]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// A text that is not a valid host.
#[derive(Debug, Error)]
#[error(
    "`{text}` is not a host: write a name or an address, followed by :PORT if the port is not {PORT}"
)]
pub struct HostError {
    text: String,
}

/// A host, named as in its certificate, and its port.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Host {
    /// DNS name or IP address.
    pub name: String,
    /// UDP port.
    pub port: u16,
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        parse(text).ok_or_else(|| HostError { text: text.into() })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') {
            write!(formatter, "[{name}]:{port}")
        } else {
            write!(formatter, "{name}:{port}")
        }
    }
}

impl Host {
    /// The address, if the host is given by its address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

fn parse(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        let name = address.to_string();
        return Some(Host { name, port: PORT });
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (address.to_string(), port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name) {
        return None;
    }
    let port = port.map_or(Some(PORT), |port| {
        port.parse().ok().filter(|&port| port != 0)
    })?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    Some(Host { name, port })
}

/// Reads a file with one host per line; `#` begins a comment.
pub fn read(file: &Path) -> Result<Vec<Host>, HostsError> {
    let text =
        files::read_text(file, files::STATE, Owner::Anyone).map_err(|source| HostsError::Read {
            file: file.to_owned(),
            source,
        })?;
    let mut hosts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        hosts.push(line.parse().map_err(|reason| HostsError::Line {
            file: file.to_owned(),
            line: index + 1,
            reason,
        })?);
    }
    if hosts.is_empty() {
        let file = file.to_owned();
        return Err(HostsError::Empty { file });
    }
    Ok(unique(hosts))
}

/// The hosts without duplicates, in their order.
#[must_use]
pub fn unique(hosts: Vec<Host>) -> Vec<Host> {
    let mut seen = std::collections::HashSet::new();
    hosts
        .into_iter()
        .filter(|host| seen.insert(host.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn hosts_have_names_or_addresses_and_ports() {
        for (text, shown) in [
            ("compute-17", "compute-17:7443"),
            ("Compute-17.example.:700", "compute-17.example:700"),
            ("192.0.2.1", "192.0.2.1:7443"),
            ("2001:db8::1", "[2001:db8::1]:7443"),
            ("[2001:DB8::1]:80", "[2001:db8::1]:80"),
            ("[2001:db8::1]", "[2001:db8::1]:7443"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), shown);
        }
        for text in [
            "", ":1", "a:", "a:0", "a:70000", "a b", "[a]:1", "[::1]1", "[::1", "a:1:2",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_has_comments_and_a_mistake_its_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# computes\n\na # the first\nb:1\na").unwrap();
        let hosts = read(file.path()).unwrap();
        let shown: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:7443", "b:1"]);
        writeln!(file, "a b").unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 6: `a b` is not a host"), "{error}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(read(empty.path()), Err(HostsError::Empty { .. })));
    }
}
