//! The way through the source addresses, as the driver in the kernel takes it.

use aya::Pod;

/// What part of the addresses one step skips, in millionths: the golden ratio is far from every small
/// fraction, so that neighbours in time are neighbours neither in memory nor in number.
const GOLDEN: u64 = 618_034;

/// The driver's `Walk`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Walk {
    /// Offset in the frame of the 4 bytes that change.
    offset: u32,
    /// Those bytes at the first address, host byte order.
    base: u32,
    /// Number of addresses.
    count: u32,
    /// Steps from one to the next, less than `count` and coprime to it.
    stride: u32,
    /// Where the walk is, less than `count`.
    at: u32,
    /// Not 0 to write the 4 bytes before, too, as zeros, so that what is read at once was written at
    /// once.
    wide: u32,
}

// SAFETY: six 32-bit integers: no padding, every bit pattern is a value.
unsafe impl Pod for Walk {}

impl Walk {
    /// A walk that comes to each of `count` addresses once before it comes to any a second time.
    pub fn new(offset: u32, base: u32, count: u32, wide: bool) -> Self {
        Self {
            offset,
            base,
            count,
            stride: stride(count),
            at: 0,
            wide: wide.into(),
        }
    }
}

/// The first number from the golden part of `count` on that is coprime to it; 0 for one address.
fn stride(count: u32) -> u32 {
    let golden = (u64::from(count) * GOLDEN / 1_000_000) as u32;
    (golden.max(1)..count)
        .find(|&stride| gcd(stride, count) == 1)
        .unwrap_or(count.saturating_sub(1))
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver's steps.
    fn steps(walk: Walk) -> impl Iterator<Item = u32> {
        (0..walk.count).scan(walk.at, move |at, _| {
            *at += walk.stride;
            if *at >= walk.count {
                *at -= walk.count;
            }
            Some(*at)
        })
    }

    #[test]
    fn every_address_is_visited_once() {
        for count in [1, 2, 3, 4, 6, 10, 12, 1000, 4096, 100_000, 1_000_000] {
            let mut visited = vec![false; count as usize];
            for at in steps(Walk::new(0, 0, count, false)) {
                assert!(!visited[at as usize], "{at} of {count} is visited twice");
                visited[at as usize] = true;
            }
            assert!(visited.iter().all(|&visited| visited));
        }
    }

    #[test]
    fn neighbours_in_time_are_far_apart() {
        for count in [1000, 100_000, 1_000_000] {
            let visited: Vec<_> = steps(Walk::new(0, 0, count, false)).collect();
            assert!(
                visited
                    .windows(2)
                    .all(|pair| pair[0].abs_diff(pair[1]) > count / 3)
            );
        }
    }
}
