//! Arguments of the programs under `src/bin`: the seed, and when to end.

use std::time::{Duration, Instant};

use clap::Parser;

/// Which frames are compared, and when to end.
#[derive(Clone, Copy, Debug, Parser)]
pub struct Limits {
    /// Decides which frames are compared.
    #[arg(long)]
    pub seed: u64,

    /// Ends after this time.
    #[arg(long)]
    seconds: Option<u64>,

    /// Ends after so many frames, shared by all scenes.
    #[arg(long, required_unless_present = "seconds")]
    frames: Option<u64>,
}

impl Limits {
    /// When a scene that begins now has to end, where `scenes` of them share the time one after
    /// another.
    #[must_use]
    pub fn deadline(&self, scenes: u32) -> Option<Instant> {
        let share = |seconds| Duration::from_secs(seconds) / scenes;
        self.seconds.map(|seconds| Instant::now() + share(seconds))
    }

    /// The frames of each of `scenes`.
    #[must_use]
    pub fn frames(&self, scenes: u64) -> u64 {
        self.frames
            .map_or(u64::MAX, |frames| frames.div_ceil(scenes))
    }
}
