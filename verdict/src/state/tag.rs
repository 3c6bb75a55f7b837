//! A keyed hash: SipHash-2-4 (Aumasson and Bernstein, 2012) of three words.
//!
//! Who does not have the key can neither make one, nor learn the key from others; 64 bits cannot be guessed
//! with the packets that a tick admits.

/// SipHash-2-4 by `key` of the 24 bytes that `words` are in little-endian order.
#[inline(always)]
#[must_use]
pub const fn tag(key: [u64; 2], words: [u64; 3]) -> u64 {
    /// The length of the message, in the highest byte of its last word.
    const LENGTH: u64 = 24 << 56;

    let [a, b, c] = words;
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    state = compress(compress(compress(compress(state, a), b), c), LENGTH);
    state[2] ^= 0xff;
    let [v0, v1, v2, v3] = round(round(round(round(state))));
    v0 ^ v1 ^ v2 ^ v3
}

#[inline(always)]
const fn compress([v0, v1, v2, v3]: [u64; 4], word: u64) -> [u64; 4] {
    let [v0, v1, v2, v3] = round(round([v0, v1, v2, v3 ^ word]));
    [v0 ^ word, v1, v2, v3]
}

#[inline(always)]
const fn round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_siphash() {
        let bytes: [u8; 24] = core::array::from_fn(|at| at as u8);
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let tag = tag([word(0), word(8)], [word(0), word(8), word(16)]);
        #[expect(deprecated, reason = "the standard library's own SipHash-2-4")]
        let expected = {
            use core::hash::{Hasher as _, SipHasher};
            let mut hasher = SipHasher::new_with_keys(word(0), word(8));
            hasher.write(&bytes);
            hasher.finish()
        };
        assert_eq!(tag, expected);
    }
}
