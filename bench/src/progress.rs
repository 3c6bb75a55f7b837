//! How far a measurement is, on the terminal.

use std::io::{IsTerminal, Write, stderr};

/// Rounds that are measured.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    rounds: u32,
}

impl Progress {
    /// Says that so many rounds are to come.
    pub fn new(rounds: u32) -> Self {
        if !stderr().is_terminal() {
            eprintln!("Measuring {rounds} rounds ...");
        }
        Self { rounds }
    }

    /// Says which one it is, from 1 on.
    pub fn round(self, round: u32) {
        let mut out = stderr();
        if out.is_terminal() {
            let end = if round == self.rounds { "\n" } else { "" };
            let line = format!("\rRound {round} of {}{end}", self.rounds);
            // A report that cannot be seen is no reason to stop.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }
}
