//! Lines: what an image is made of.

use crate::reason::Reason;

/// 64 bytes.
pub type Line = [u64; 8];

/// An image lacks a line that its header promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missing;

impl From<Missing> for Reason {
    #[inline(always)]
    fn from(_: Missing) -> Self {
        Reason::NoPolicy
    }
}

/// The lines of an image, in a kernel map or in memory.
pub trait Tables {
    /// Line `index`.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such line.
    fn line(&self, index: u64) -> Result<&Line, Missing>;

    /// The 64-bit word `index` of the image, which belongs to the fixed part.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such word there.
    #[inline(always)]
    fn fixed64(&self, index: u32) -> Result<u64, Missing> {
        let line = self.line((index / PER_LINE_64).into())?;
        Ok(line[(index % PER_LINE_64) as usize])
    }

    /// The 32-bit word `index` of the image, which belongs to the fixed part.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such word there.
    #[inline(always)]
    fn fixed32(&self, index: u32) -> Result<u32, Missing> {
        Ok((self.fixed64(index / 2)? >> (32 * (index % 2))) as u32)
    }

    /// [`fixed32`](Self::fixed32) of an index that was worked out some time before it is used: kernels
    /// may have lost its bounds.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such word there.
    #[inline(always)]
    fn fixed32_kept(&self, index: u32) -> Result<u32, Missing> {
        self.fixed32(index)
    }

    /// The 16-bit value `index` of the array that starts at line `base`.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such line.
    #[inline(always)]
    fn value16(&self, base: u64, index: u32) -> Result<u16, Missing> {
        let line = self.line(base.wrapping_add((index / PER_LINE_16).into()))?;
        let word = line[(index / 4 % 8) as usize];
        Ok((word >> (16 * (index % 4))) as u16)
    }
}

/// 64-bit words in a line.
pub const PER_LINE_64: u32 = 8;
/// 32-bit words in a line.
pub const PER_LINE_32: u32 = 16;
/// 16-bit values in a line.
pub const PER_LINE_16: u32 = 32;
