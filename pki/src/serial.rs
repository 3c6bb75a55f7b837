//! Serial numbers of certificates.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::PkiError;

/// A positive serial number, written in hexadecimal.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Octets of the serials that are issued.
    const OCTETS: usize = 16;
    /// Octets at most (RFC 5280, 4.1.2.2).
    const MOST_OCTETS: usize = 20;

    /// A random serial of 128 bits.
    pub fn random() -> Result<Self, PkiError> {
        let mut octets = [0; Self::OCTETS];
        // A leading zero octet is not written, which would make the serial shorter than others.
        while octets[0] == 0 {
            getrandom::fill(&mut octets)?;
        }
        Ok(Self(octets.to_vec()))
    }

    /// The serial with these octets, highest first; leading zeros do not count.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        let zeros = octets.iter().take_while(|&&octet| octet == 0).count();
        Self(octets[zeros..].to_vec())
    }

    /// Its octets, highest first.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("00");
        }
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl FromStr for Serial {
    type Err = String;

    /// Reads what this and other tools write: `7f03...`, `7F:03:...`, `0x7f03...`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.trim().chars().filter(|&sign| sign != ':').collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("`{text}` is no serial in hexadecimal digits"));
        }
        let even = format!("{}{digits}", &"0"[..digits.len() % 2]);
        let octets: Option<Vec<u8>> = (0..even.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&even[at..at + 2], 16).ok())
            .collect();
        let serial = Self::from_octets(&octets.unwrap_or_default());
        if serial.0.len() > Self::MOST_OCTETS {
            return Err(format!(
                "`{text}` is longer than the 20 octets that a serial may have"
            ));
        }
        Ok(serial)
    }
}

impl TryFrom<String> for Serial {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_notations_are_read() {
        for text in ["0x07f03", "7F:03", "7f03", "007F03", " 7f03\n"] {
            let serial: Serial = text.parse().unwrap();
            assert_eq!(serial.octets(), [0x7f, 0x03], "{text}");
            assert_eq!(serial.to_string(), "7f03");
        }
        for text in ["", "x", "7f 03", &"1".repeat(41)] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_ones_are_long_and_differ() {
        let serials: Vec<_> = (0..100).map(|_| Serial::random().unwrap()).collect();
        assert!(serials.iter().all(|serial| serial.to_string().len() == 32));
        let distinct: std::collections::BTreeSet<_> = serials.iter().collect();
        assert_eq!(distinct.len(), 100);
    }
}
