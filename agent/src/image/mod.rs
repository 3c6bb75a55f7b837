//! Compiles a policy into an image: the lines of 64 bytes that the datapath reads.
//!
//! [`compile`] builds it. [`Image`] implements the verdict crate's lookups in memory, with the same
//! results as the kernel's maps.

mod addresses;
mod buckets;
mod compile;
mod error;
mod facts;
mod lines;
mod numbers;
mod patch;
mod places;
mod prefixes;
mod records;
mod roles;
mod services;
#[cfg(test)]
mod tests;

pub(crate) use addresses::ipv6;
pub use compile::compile;
pub use error::CompileError;
pub use facts::Facts;
pub use numbers::{Numbers, RuleName};
use verdict::{
    image::{
        line::{Line, Missing, Tables},
        lookup::Lookup,
    },
    layout::CHUNK_LINES,
};

/// A compiled policy.
#[derive(Clone, Debug)]
pub struct Image {
    lines: Vec<Line>,
    digest: u64,
}

impl Image {
    /// An image without lines: every lookup fails.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            lines: Vec::new(),
            digest: 0,
        }
    }

    /// Sets the digest of the policy that the image was compiled from.
    pub const fn identify(&mut self, digest: u64) {
        self.digest = digest;
    }

    /// Digest of the policy that the image was compiled from; 0 if it was not set.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Memory that the image takes in the kernel, bytes.
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        let chunk = u64::from(CHUNK_LINES) * size_of::<Line>() as u64;
        self.chunks().count() as u64 * chunk
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.lines.len() as u32
    }

    /// Whether there are no lines; a compiled policy always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The image in chunks, as it is written to the kernel; the last may be shorter.
    pub fn chunks(&self) -> impl Iterator<Item = &[Line]> {
        self.lines.chunks(CHUNK_LINES as usize)
    }
}

impl Tables for Image {
    fn line(&self, index: u64) -> Result<&Line, Missing> {
        self.lines.get(index as usize).ok_or(Missing)
    }
}

impl Lookup for Image {}
