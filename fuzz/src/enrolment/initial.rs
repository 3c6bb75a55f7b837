//! Initial packets of QUIC (RFC 9000, section 17.2.2), sealed as a client seals them (RFC 9001,
//! section 5.2): their keys are public, so anybody can send any content.

use manoward::enrolment::pki::provider;
use rustls::{
    Side,
    quic::{Keys, Version},
};

/// Bytes of a datagram with an Initial packet at least.
const DATAGRAM: usize = 1200;
/// Bytes of a packet number: the longest form.
const NUMBER: usize = 4;
/// Bytes of the tag behind a sealed payload.
const TAG: usize = 16;
/// Largest length that two bytes can encode.
const LENGTH: usize = 0x3fff;

/// Seals packets of one client.
pub struct Sealer {
    keys: Keys,
    to: [u8; 8],
    number: u32,
}

impl Sealer {
    /// Packets to the connection id that a client has chosen.
    pub fn new(to: [u8; 8]) -> Self {
        let suite = provider()
            .cipher_suites
            .iter()
            .find_map(|suite| suite.tls13()?.quic_suite())
            .expect("the provider has suites for QUIC");
        Self {
            keys: suite.keys(&to, Side::Client, Version::V1),
            to,
            number: 0,
        }
    }

    /// A datagram with one Initial packet that holds `frames`, and padding behind them.
    pub fn seal(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut header = vec![0xc0 | (NUMBER as u8 - 1), 0, 0, 0, 1];
        header.push(self.to.len() as u8);
        header.extend(self.to);
        // An empty source connection id, and no token.
        header.extend([0, 0]);
        let before_length = header.len();
        let at_least = DATAGRAM - before_length - 2 - NUMBER - TAG;
        let mut payload = frames.to_vec();
        payload.truncate(LENGTH - NUMBER - TAG);
        payload.resize(payload.len().max(at_least), 0);
        let length = (NUMBER + payload.len() + TAG) as u16 | 0x4000;
        header.extend(length.to_be_bytes());
        let number_at = header.len();
        header.extend(self.number.to_be_bytes());
        let sealed =
            self.keys
                .local
                .packet
                .encrypt_in_place(u64::from(self.number), &header, &mut payload);
        let tag = sealed.expect("the payload is not too long");
        self.number += 1;
        let mut datagram = header;
        datagram.extend(payload);
        datagram.extend(tag.as_ref());
        self.protect(&mut datagram, number_at);
        datagram
    }

    /// Applies header protection (RFC 9001, section 5.4) to the first byte and the packet number.
    fn protect(&self, datagram: &mut [u8], number_at: usize) {
        let protection = &self.keys.local.header;
        let sample_at = number_at + NUMBER;
        let (head, tail) = datagram.split_at_mut(sample_at);
        let (first, rest) = head.split_first_mut().expect("there is a header");
        let hidden = protection.encrypt_in_place(
            &tail[..protection.sample_len()],
            first,
            &mut rest[number_at - 1..],
        );
        hidden.expect("the sample is as long as it has to be");
    }
}
