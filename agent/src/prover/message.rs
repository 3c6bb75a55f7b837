//! What goes between the agent and the process that strangers talk to.
//!
//! Each message is its length, four bytes in network byte order, and JSON. What comes from that process may be
//! forged by whoever has taken it over: the agent reads no more of it than [`LONGEST`] at a time, and believes
//! none of it before it was checked (`agent.rs`).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::enrolment::{End, Facts, Grant, MarkKey, Reason, Refusal, wire::Place};

/// Longest message of the process, in bytes: a chain of certificates is 16 KiB at most, and a third more as PEM.
pub const LONGEST: usize = 64 << 10;
/// Longest message of the agent, which is trusted: files of certificates and lists.
pub const LONGEST_OF_AGENT: usize = 512 << 20;

/// What the agent tells the process.
#[derive(Debug, Deserialize, Serialize)]
pub enum ToProcess {
    /// First of all: how to serve.
    Begin {
        /// Key of the marks in tokens.
        mark: MarkKey,
        /// Sessions, and handshakes in all and of one address, that may be open.
        most: [usize; 3],
    },
    /// The files, whose contents follow, each as a message of bytes: certificate, key, authorities and lists.
    Files(Vec<String>),
    /// Leases of an earlier process, or of an earlier agent, whose chains are to be verified with the files.
    Verify(Vec<Chain>),
    /// The answer to a claim.
    Answer {
        /// The session.
        session: u64,
        /// What was granted, or why not.
        answer: Result<Granted, Refusal>,
    },
    /// A session is to be closed.
    Close {
        /// Which.
        session: u64,
        /// Why.
        end: End,
    },
    /// The agent ends: sessions are to be told.
    Shutdown,
}

/// What a claim was granted.
#[derive(Debug, Deserialize, Serialize)]
pub struct Granted {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// Time after which the lease ends unless it is renewed.
    pub expires_in: Duration,
}

impl From<Grant> for Granted {
    fn from(grant: Grant) -> Self {
        Self {
            endpoint: grant.endpoint,
            role: grant.role,
            expires_in: grant.expires_in,
        }
    }
}

impl From<Granted> for Grant {
    fn from(granted: Granted) -> Self {
        Self {
            endpoint: granted.endpoint,
            role: granted.role,
            expires_in: granted.expires_in,
        }
    }
}

/// A chain to be verified.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Chain {
    /// Number of the endpoint.
    pub number: u32,
    /// Its address.
    pub address: IpAddr,
    /// PEM, the endpoint's own certificate first.
    pub chain: String,
}

/// What the process says.
#[derive(Debug, Deserialize, Serialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "each is read, checked and dropped; none is kept"
)]
pub enum FromProcess {
    /// The files could be used, or why not.
    Read(Result<(), String>),
    /// An endpoint has proven that it has these identities.
    Claim {
        /// The session, by the number that the process gave it.
        session: u64,
        /// The endpoint's address and port.
        remote: SocketAddr,
        /// The address of this host that it sends to.
        local: IpAddr,
        /// Identities in its certificate.
        identities: Vec<String>,
        /// Its certificate.
        certificate: Facts,
        /// The whole chain, PEM, which the agent keeps and does not look into.
        chain: String,
        /// Until when that is valid.
        until: Timestamp,
        /// The endpoint's program.
        program: String,
        /// Where it says that it sends from.
        stated: Place,
    },
    /// A session goes on.
    Renew {
        /// Which.
        session: u64,
        /// Until when its chain is valid.
        until: Timestamp,
    },
    /// A session that was granted has ended.
    Ended {
        /// Which.
        session: u64,
        /// Why.
        end: End,
    },
    /// A handshake or claim failed.
    Refused {
        /// From where, as somebody claims.
        from: SocketAddr,
        /// Why.
        reason: Reason,
    },
    /// What has become of a chain that was to be verified.
    Verified {
        /// Number of the endpoint.
        number: u32,
        /// Its address.
        address: IpAddr,
        /// Why it is refused, if it is.
        refused: Option<Refusal>,
    },
    /// What is wrong with the files, in sentences.
    Problems(Vec<String>),
}

/// Writes a message.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    write_bytes(to, &serde_json::to_vec(message)?).await
}

/// Writes a message of bytes.
pub async fn write_bytes(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(bytes).await
}

/// Reads a message of at most `most` bytes; `None` at the end of what is sent.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<Option<T>> {
    let Some(bytes) = read_bytes(from, most).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(io::Error::from)
}

/// Reads a message of at most `most` bytes, as bytes; `None` at the end of what is sent.
pub async fn read_bytes(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        let why = format!("a message of {length} bytes is longer than {most}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(Some(bytes))
}
