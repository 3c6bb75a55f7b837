//! Tokens of Retry packets, with a mark at their front that the programs in the kernel can verify.
//!
//! Quinn seals what a token says (RFC 9000, 8.1.2) with a key that it alone knows. The programs cannot open
//! that; so beside it stands a keyed hash of the address and port that the Retry is sent to. Whoever shows it
//! has received it there.

use std::net::IpAddr;

use quinn_proto::crypto::{AeadKey, CryptoError, HandshakeTokenKey};
use ring::hkdf;
use verdict::state::tag::tag;

/// Bytes of the mark.
const MARK: usize = 8;

/// The key of the marks, which the programs in the kernel have, too.
pub type MarkKey = [u64; 2];

/// Seals tokens.
pub(super) struct TokenKey {
    mark: MarkKey,
    seal: hkdf::Prk,
}

impl TokenKey {
    /// A key that seals by `secret`, which nobody else knows, and marks by `mark`.
    pub(super) fn new(secret: &[u8], mark: MarkKey) -> Self {
        let seal = hkdf::Salt::new(hkdf::HKDF_SHA256, b"manoward/1 tokens").extract(secret);
        Self { mark, seal }
    }
}

impl HandshakeTokenKey for TokenKey {
    fn aead_from_hkdf(&self, random_bytes: &[u8]) -> Box<dyn AeadKey> {
        Box::new(Marked {
            mark: self.mark,
            inner: self.seal.aead_from_hkdf(random_bytes),
        })
    }
}

/// Puts the mark before what another key seals.
struct Marked {
    mark: MarkKey,
    inner: Box<dyn AeadKey>,
}

impl AeadKey for Marked {
    fn seal(&self, data: &mut Vec<u8>, additional_data: &[u8]) -> Result<(), CryptoError> {
        let (address, port) = receiver(data).ok_or(CryptoError)?;
        let mark = mark(self.mark, address, port);
        self.inner.seal(data, additional_data)?;
        data.splice(0..0, mark.to_be_bytes());
        Ok(())
    }

    fn open<'a>(
        &self,
        data: &'a mut [u8],
        additional_data: &[u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        let sealed = data.get_mut(MARK..).ok_or(CryptoError)?;
        self.inner.open(sealed, additional_data)
    }
}

/// The mark of a token that is sent to this address and port; the programs compute the same.
fn mark(key: MarkKey, address: IpAddr, port: u16) -> u64 {
    let [high, low] = match address.to_canonical() {
        IpAddr::V4(address) => [0, address.to_bits().into()],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    };
    tag(key, [high, low, port.into()])
}

/// The address and port that a token is for, as quinn writes it before it is sealed: a byte for its kind, one
/// for the family, and then both.
fn receiver(token: &[u8]) -> Option<(IpAddr, u16)> {
    let (_, rest) = token.split_first()?;
    let (address, rest) = match rest.split_first()? {
        (0, rest) => {
            let (address, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(*address), rest)
        }
        (1, rest) => {
            let (address, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(*address), rest)
        }
        _ => return None,
    };
    let (port, _) = rest.split_first_chunk::<2>()?;
    Some((address, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_with_the_mark_of_whom_it_is_for_and_opens_as_before() {
        let key = TokenKey::new(&[7; 32], [1, 2]);
        for (family, address, to) in [
            (0, &[192, 0, 2, 10][..], "192.0.2.10"),
            (1, &[0x20; 16], "2020:2020:2020:2020:2020:2020:2020:2020"),
        ] {
            let plain = [&[0, family], address, &[0xc3, 0x50, 8], &[7; 8], &[9; 8]].concat();
            let mut token = plain.clone();
            let seal = key.aead_from_hkdf(&[5; 16]);
            seal.seal(&mut token, &[]).unwrap();
            let expected = mark([1, 2], to.parse().unwrap(), 50_000);
            assert_eq!(token[..MARK], expected.to_be_bytes());
            // With the nonce behind it, its length takes two bytes on the wire.
            assert!((64..16_384).contains(&(token.len() + 16)));
            assert_eq!(seal.open(&mut token, &[]).unwrap(), plain);
        }
    }

    #[test]
    fn what_is_no_token_is_not_sealed_or_opened() {
        let key = TokenKey::new(&[7; 32], [1, 2]).aead_from_hkdf(&[5; 16]);
        for strange in [
            &[][..],
            &[0],
            &[0, 2, 1, 2, 3, 4, 5, 6],
            &[0, 0, 1, 2, 3, 4, 5],
        ] {
            assert!(key.seal(&mut strange.to_vec(), &[]).is_err());
        }
        assert!(key.open(&mut [0; 5], &[]).is_err());
        assert!(key.open(&mut [0; 60], &[]).is_err());
    }
}
