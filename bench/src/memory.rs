//! The latency of memory, which every look-up in a large table pays.

use std::hint::black_box;
use std::time::Instant;

/// Words in a cache line.
const LINE: usize = 64 / size_of::<usize>();
const READS: u32 = 1_000_000;

/// Nanoseconds per read of a random one of `lines` cache lines; each read waits for the one before.
pub fn random_read_ns(lines: usize) -> u32 {
    let memory = cycle(lines);
    let mut at = 0;
    let mut read = |times| {
        for _ in 0..times {
            at = black_box(memory[at]);
        }
    };
    read(lines as u32);
    let start = Instant::now();
    read(READS);
    (start.elapsed().as_nanos() / u128::from(READS)) as u32
}

/// A ring of cache lines in pseudo-random order: each holds the index of the next.
fn cycle(lines: usize) -> Vec<usize> {
    // The order of a linear congruential generator of full period (Hull and Dobell).
    let period = lines.next_power_of_two();
    let step = |at: usize| (at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)) % period;
    let next = |at: usize| {
        let mut next = step(at);
        while next >= lines {
            next = step(next);
        }
        next
    };
    let mut memory = vec![0; lines * LINE];
    for at in 0..lines {
        memory[at * LINE] = next(at) * LINE;
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_comes_to_every_line() {
        for lines in [2, 3, 1000, 1024] {
            let memory = cycle(lines);
            let mut at = 0;
            let mut count = 0;
            loop {
                at = memory[at];
                count += 1;
                if at == 0 {
                    break;
                }
            }
            assert_eq!(count, lines);
        }
    }
}
