//! The sequence of values that change from packet to packet, as the driver in the kernel makes it.

use aya::Pod;

/// The stride as a part of the number of values, in millionths: the golden ratio, so that values of
/// successive packets are far apart.
const GOLDEN: u64 = 618_034;

/// What changes in a frame from packet to packet.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its offset in the frame, bytes.
    pub offset: u32,
    /// Its length, bytes: 4 or 8. It is written at once, since a wider read after several narrower
    /// writes stalls the CPU (store forwarding).
    pub bytes: u32,
    /// Its first value.
    pub first: u64,
    /// How far its number is shifted to the left before it is added to the first value.
    pub shift: u32,
}

/// The driver's `Walk`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Walk {
    /// As in [`Field`].
    first: u64,
    offset: u32,
    bytes: u32,
    shift: u32,
    /// Number of values.
    count: u32,
    /// Steps from one to the next, less than `count` and coprime to it.
    stride: u32,
    /// Where the walk is, less than `count`.
    at: u32,
}

// SAFETY: one 64-bit and six 32-bit integers: no padding, every bit pattern is a value.
unsafe impl Pod for Walk {}

impl Walk {
    /// A walk that comes to each of `count` values once before it comes to any a second time.
    pub fn new(field: Field, count: u32) -> Self {
        Self {
            first: field.first,
            offset: field.offset,
            bytes: field.bytes,
            shift: field.shift,
            count,
            stride: stride(count),
            at: 0,
        }
    }

    /// Moves the walk on by `packets` steps.
    pub const fn skip(&mut self, packets: u32) {
        let steps = packets as u64 * self.stride as u64;
        self.at = ((self.at as u64 + steps) % self.count as u64) as u32;
    }
}

/// The smallest stride from [`GOLDEN`] times `count` on that is coprime to `count`; 0 for one
/// value.
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

    const FIELD: Field = Field {
        offset: 0,
        bytes: 4,
        first: 0,
        shift: 0,
    };

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
    fn every_value_is_visited_once() {
        for count in [1, 2, 3, 4, 6, 10, 12, 1000, 4096, 100_000, 1_000_000] {
            let mut visited = vec![false; count as usize];
            for at in steps(Walk::new(FIELD, count)) {
                assert!(!visited[at as usize], "{at} of {count} is visited twice");
                visited[at as usize] = true;
            }
            assert!(visited.iter().all(|&visited| visited));
        }
    }

    #[test]
    fn a_walk_goes_on_where_it_was_left() {
        for count in [1, 10, 1000, 1_000_000] {
            let mut walk = Walk::new(FIELD, count);
            let before: Vec<_> = steps(walk).collect();
            walk.skip(7);
            let after: Vec<_> = steps(walk).collect();
            assert_eq!(after[0], before[7 % before.len()]);
        }
    }

    #[test]
    fn neighbours_in_time_are_far_apart() {
        for count in [1000, 100_000, 1_000_000] {
            let visited: Vec<_> = steps(Walk::new(FIELD, count)).collect();
            assert!(
                visited
                    .windows(2)
                    .all(|pair| pair[0].abs_diff(pair[1]) > count / 3)
            );
        }
    }
}
