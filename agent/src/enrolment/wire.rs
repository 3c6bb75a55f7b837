//! The messages between an endpoint and a host: JSON, each preceded by its length (4 bytes,
//! big-endian).
//!
//! The endpoint opens one stream and sends [`Hello`]; the host answers [`Answer::Granted`] or
//! [`Answer::Refused`]. It may send [`Answer::Ended`] before it closes a session.

use std::{io, net::IpAddr};

use quinn::{RecvStream, SendStream, VarInt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The protocol's name in the handshake (ALPN).
pub const ALPN: &[u8] = b"manoward/1";
/// UDP port on which hosts listen.
pub const PORT: u16 = 7443;
/// Version of the messages.
pub const VERSION: u32 = 2;

/// Longest message, in bytes.
pub const LIMIT: usize = 4096;

/// Application error code of a session that was closed normally.
pub const CLOSED: VarInt = VarInt::from_u32(0);
/// Application error code of a refused claim; the answer says why.
pub const REFUSED: VarInt = VarInt::from_u32(1);
/// Application error code of a session that the host ended; a message before it says why.
pub const ENDED: VarInt = VarInt::from_u32(2);
/// Application error code after an invalid or missing message.
pub const PROTOCOL: VarInt = VarInt::from_u32(3);

/// The endpoint's first message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// Version of the messages that follow.
    pub version: u32,
    /// Name and version of the program, for logs.
    pub program: String,
    /// Keepalive interval that the endpoint would like, in seconds; the host decides.
    pub keepalive_seconds: u64,
    /// Where it sends from, as its own machine tells. Without it no claim is granted.
    #[serde(default)]
    pub place: Option<Place>,
}

/// Where an endpoint sends from. VLAN tags differ from link to link, so they are not in it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Place {
    /// Its address.
    pub address: IpAddr,
    /// MAC address of the interface, in the order of the wire; `None` if it has none.
    pub mac: Option<[u8; 6]>,
}

/// A message of the host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The endpoint is admitted as long as this session lives.
    Granted {
        /// Name of the endpoint in the policy.
        endpoint: String,
        /// Its role.
        role: String,
        /// Seconds after which the lease expires unless it is renewed.
        expires_in_seconds: u64,
        /// Seconds between the host's keepalives.
        keepalive_seconds: u64,
    },
    /// The endpoint is not admitted.
    Refused {
        /// Name of the [`Reason`](super::Reason).
        reason: String,
        /// The reason as a sentence.
        sentence: String,
    },
    /// The session ends.
    Ended {
        /// Name of the [`End`](super::End).
        reason: String,
        /// The reason as a sentence.
        sentence: String,
    },
}

/// Why a message could not be received or sent.
#[derive(Debug, Error)]
pub enum WireError {
    /// The stream ended before or within a message.
    #[error("the stream ended before the message did")]
    Truncated,
    /// The message is too long.
    #[error("a message of {0} bytes is longer than {LIMIT}")]
    TooLong(usize),
    /// The message is not what was expected.
    #[error("cannot understand the message: {0}")]
    Unintelligible(serde_json::Error),
    /// The connection failed.
    #[error(transparent)]
    Connection(quinn::ConnectionError),
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Stream(io::Error),
}

/// Writes `message` as a [`frame`].
pub async fn write(stream: &mut SendStream, message: &impl Serialize) -> Result<(), WireError> {
    let frame = frame(message)?;
    match stream.write_all(&frame).await {
        Ok(()) => Ok(()),
        Err(quinn::WriteError::ConnectionLost(error)) => Err(WireError::Connection(error)),
        Err(error) => Err(WireError::Stream(error.into())),
    }
}

/// Reads one message.
pub async fn read<T: DeserializeOwned>(stream: &mut RecvStream) -> Result<T, WireError> {
    let mut length = [0; 4];
    exactly(stream, &mut length).await?;
    let mut text = vec![0; decode_length(length)?];
    exactly(stream, &mut text).await?;
    parse(&text)
}

/// Decodes the length of the message that follows.
pub fn decode_length(length: [u8; 4]) -> Result<usize, WireError> {
    let length = u32::from_be_bytes(length) as usize;
    if length > LIMIT {
        return Err(WireError::TooLong(length));
    }
    Ok(length)
}

/// Parses a message.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(text).map_err(WireError::Unintelligible)
}

async fn exactly(stream: &mut RecvStream, buffer: &mut [u8]) -> Result<(), WireError> {
    use quinn::{ReadError, ReadExactError};

    stream
        .read_exact(buffer)
        .await
        .map_err(|error| match error {
            ReadExactError::FinishedEarly(_) => WireError::Truncated,
            ReadExactError::ReadError(ReadError::ConnectionLost(error)) => {
                WireError::Connection(error)
            }
            ReadExactError::ReadError(error) => WireError::Stream(error.into()),
        })
}

/// `message` as JSON, preceded by its length as four bytes in network byte order.
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, WireError> {
    let text = serde_json::to_vec(message).map_err(WireError::Unintelligible)?;
    if text.len() > LIMIT {
        return Err(WireError::TooLong(text.len()));
    }
    let mut frame = Vec::with_capacity(4 + text.len());
    frame.extend_from_slice(&(text.len() as u32).to_be_bytes());
    frame.extend_from_slice(&text);
    Ok(frame)
}

/// `text` fit to be shown: what is not printable is escaped (so is a backslash), and no more than 400
/// characters are left, so that it fits into a message, a line of a log, and a terminal.
#[must_use]
pub fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 400;
    let mut shown = String::new();
    let mut left = CHARACTERS;
    for character in text.chars() {
        let escaped = match character {
            '\'' | '"' => character.to_string(),
            character => character.escape_debug().to_string(),
        };
        let Some(rest) = left.checked_sub(escaped.chars().count()) else {
            break;
        };
        left = rest;
        shown.push_str(&escaped);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_documented() {
        let hello = Hello {
            version: VERSION,
            program: "manoward 0.1.0".into(),
            keepalive_seconds: 5,
            place: Some(Place {
                address: [192, 0, 2, 10].into(),
                mac: Some([0x52, 0x54, 0, 0xaa, 0xbb, 1]),
            }),
        };
        let frame = frame(&hello).unwrap();
        let text = r#"{"version":2,"program":"manoward 0.1.0","keepalive_seconds":5,"place":{"address":"192.0.2.10","mac":[82,84,0,170,187,1]}}"#;
        assert_eq!(frame[..4], (text.len() as u32).to_be_bytes());
        assert_eq!(str::from_utf8(&frame[4..]), Ok(text));
        let refused = Answer::Refused {
            reason: "wrong-address".into(),
            sentence: "No.".into(),
        };
        assert_eq!(
            serde_json::to_string(&refused).unwrap(),
            r#"{"refused":{"reason":"wrong-address","sentence":"No."}}"#
        );
    }

    #[test]
    fn a_long_message_is_not_sent() {
        let hello = Hello {
            version: VERSION,
            program: "x".repeat(LIMIT),
            keepalive_seconds: 5,
            place: None,
        };
        assert!(matches!(frame(&hello), Err(WireError::TooLong(_))));
        assert_eq!(shortened(&"ä".repeat(2 * LIMIT)).chars().count(), 400);
        assert_eq!(shortened("a\u{1b}[31m\n"), r"a\u{1b}[31m\n");
        assert_eq!(
            shortened("\u{202e}'ä\\"),
            r"\u{202e}'ä\\",
            "so is what turns text around"
        );
    }
}
