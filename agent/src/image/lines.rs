//! The lines of an image while it is being compiled.

use verdict::{
    image::{
        fixed::{FIXED_LINES, HEADER},
        line::{Line, PER_LINE_16, PER_LINE_32},
    },
    layout::{CHUNK_LINES, CHUNKS},
};

/// Most lines of an image.
pub const MAX_LINES: u32 = CHUNKS * CHUNK_LINES;

/// The lines: the fixed part, then appended tables.
pub struct Lines(Vec<Line>);

impl Lines {
    /// The fixed part, all zeros.
    pub fn new() -> Self {
        Self(vec![Line::default(); FIXED_LINES as usize])
    }

    /// All lines.
    pub fn into_vec(self) -> Vec<Line> {
        self.0
    }

    /// Number of lines.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends `count` lines and returns the number of the first.
    pub fn append(&mut self, count: usize) -> u32 {
        let first = self.0.len() as u32;
        self.0.resize(self.0.len() + count, Line::default());
        first
    }

    /// Appends `lines` and returns the number of the first.
    pub fn extend(&mut self, lines: Vec<Line>) -> u32 {
        let first = self.0.len() as u32;
        self.0.extend(lines);
        first
    }

    /// Line `index`. Panics if there is no such line.
    pub fn line(&mut self, index: u32) -> &mut Line {
        &mut self.0[index as usize]
    }

    /// The header.
    pub fn header(&mut self) -> &mut Line {
        self.line(HEADER)
    }

    /// Sets the 32-bit word `index`, which must be 0.
    pub fn set32(&mut self, index: u32, value: u32) {
        let line = self.line(index / PER_LINE_32);
        line[(index / 2 % 8) as usize] |= u64::from(value) << (32 * (index % 2));
    }

    /// Sets the 16-bit value `index` of the array that starts at line `base`; it must be 0.
    pub fn set16(&mut self, base: u32, index: u32, value: u16) {
        let line = self.line(base + index / PER_LINE_16);
        line[(index / 4 % 8) as usize] |= u64::from(value) << (16 * (index % 4));
    }
}
