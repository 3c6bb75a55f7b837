//! Indexes that the verifier can follow.

use core::arch::asm;

/// `index & MASK`, also where the compiler knows that this changes nothing, and would leave it out:
/// kernels before 5.12 lose the bounds of a number that has lain on the stack.
#[inline(always)]
#[allow(
    asm_sub_register,
    reason = "a register of BPF has one name, whatever its width"
)]
pub fn masked<const MASK: u32>(index: u32) -> usize {
    let masked: usize;
    // SAFETY: it writes this one register, and nothing else. What lies above the 32 bits of the index
    // is masked, too.
    unsafe {
        asm!(
            "{0} = {1}",
            "{0} &= {2}",
            lateout(reg) masked,
            in(reg) index,
            const MASK,
            options(pure, nomem, nostack)
        );
    }
    masked
}
