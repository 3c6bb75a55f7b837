//! Mixing bits: what every hash of this crate is made of.

/// Multipliers with well-mixed bits (the 64-bit golden ratio and two of its relatives).
pub(crate) const MIX: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0xff51_afd7_ed55_8ccd,
];

/// Mixes 64 bits so that each of the upper 40 depends on all of them.
#[inline(always)]
pub(crate) const fn finish(product: u64) -> u64 {
    (product ^ (product >> 32)).wrapping_mul(MIX[2])
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::tests::spread::assert_spread;

    #[test]
    fn mixing_spreads_every_bit() {
        for flipped in 0..64 {
            let changed = (1..301_u32).map(|sample| {
                let product = u64::from(sample).wrapping_mul(MIX[0]).rotate_left(17);
                finish(product) ^ finish(product ^ 1 << flipped)
            });
            assert_spread(changed, &format!("bit {flipped}"));
        }
    }
}
