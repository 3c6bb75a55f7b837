//! How far a measurement is, on the terminal.

use std::io::{IsTerminal, Write, stderr};

/// Rounds that are measured.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    rounds: u32,
}

impl Progress {
    /// Announces the number of rounds.
    pub fn new(rounds: u32) -> Self {
        if !stderr().is_terminal() {
            eprintln!("Measuring {rounds} rounds ...");
        }
        Self { rounds }
    }

    /// Shows the number of the current round, from 1 on.
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

/// Rounds of cases that end as soon as they are decided.
#[derive(Debug)]
pub struct Elimination {
    rounds: u32,
    undecided: usize,
    is_terminal: bool,
}

impl Elimination {
    /// Announces the largest number of rounds.
    pub fn new(rounds: u32) -> Self {
        Self {
            rounds,
            undecided: 0,
            is_terminal: stderr().is_terminal(),
        }
    }

    /// Shows the number of the current round, from 1 on, and of its cases.
    pub fn round(&mut self, round: u32, undecided: usize) {
        let changed = self.undecided != undecided;
        self.undecided = undecided;
        if self.is_terminal {
            let mut out = stderr();
            let line = format!(
                "\rRound {round} of at most {}, {undecided} cases \x1b[K",
                self.rounds
            );
            // A report that cannot be seen is no reason to stop.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        } else if changed {
            eprintln!(
                "Round {round} of at most {}, {undecided} cases ...",
                self.rounds
            );
        }
    }

    /// Ends the line.
    pub fn end(self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}
