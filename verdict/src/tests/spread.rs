//! How far a hash spreads what it is given.

use std::vec::Vec;

use crate::frame::address::Ipv6;

/// Seeds as the kernel gives them: any bits.
pub fn seeds() -> impl ExactSizeIterator<Item = u64> {
    (1..51_u32).map(|seed| u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Checks that about half of the upper 40 bits are set in these `differences` of two hashes.
pub fn assert_spread(differences: impl ExactSizeIterator<Item = u64>, what: &str) {
    let bits = 40 * u32::try_from(differences.len()).expect("few differences");
    let set: u32 = differences.map(|bits| (bits >> 24).count_ones()).sum();
    let share = f64::from(set) / f64::from(bits);
    assert!((0.35..0.65).contains(&share), "{what}: {share}");
}

/// The addresses that differ from this one in one bit.
pub fn neighbours(address: Ipv6) -> Vec<Ipv6> {
    let Ipv6 { high, low } = address;
    let flipped = |bit: u32| [(high ^ (1 << bit), low), (high, low ^ (1 << bit))];
    let all = (0..64).flat_map(flipped);
    all.map(|(high, low)| Ipv6 { high, low }).collect()
}
