//! Damages frames in ways that the grammar does not produce.

use crate::judge::LENGTHS;
use fastrand::Rng;

/// Damages about half of the frames: changes bits or bytes, truncates, or pads. The length remains
/// one that a program can be run on ([`LENGTHS`]).
pub fn damage(frame: &mut Vec<u8>, rng: &mut Rng) {
    match rng.u8(..16) {
        0..8 => {}
        8..10 => flip_bits(frame, rng),
        10..12 => replace_bytes(frame, rng),
        12..15 => truncate(frame, rng),
        _ => pad(frame, rng),
    }
    if rng.u8(..16) == 0 {
        truncate(frame, rng);
    }
    let length = frame.len().clamp(*LENGTHS.start(), *LENGTHS.end());
    frame.resize(length, 0);
}

fn flip_bits(frame: &mut [u8], rng: &mut Rng) {
    for _ in 0..rng.u8(1..4) {
        let at = offset(frame, rng);
        frame[at] ^= 1 << rng.u8(..8);
    }
}

/// Values at which fields change their meaning.
const SIGNIFICANT: [u8; 16] = [
    0, 1, 4, 6, 8, 17, 43, 44, 58, 60, 0x45, 0x60, 0x81, 0x88, 132, 255,
];

fn replace_bytes(frame: &mut [u8], rng: &mut Rng) {
    for _ in 0..rng.u8(1..4) {
        let at = offset(frame, rng);
        frame[at] = if rng.bool() {
            rng.u8(..)
        } else {
            SIGNIFICANT[rng.usize(..SIGNIFICANT.len())]
        };
    }
}

/// An offset, mostly within the headers behind the MAC addresses.
fn offset(frame: &[u8], rng: &mut Rng) -> usize {
    if frame.len() > 100 && rng.u8(..4) != 0 {
        rng.usize(12..100)
    } else {
        rng.usize(..frame.len())
    }
}

/// Leaves any number of bytes, small numbers more often.
fn truncate(frame: &mut Vec<u8>, rng: &mut Rng) {
    let end = if rng.bool() {
        rng.usize(..=frame.len())
    } else {
        rng.usize(14..120)
    };
    frame.truncate(end);
}

fn pad(frame: &mut Vec<u8>, rng: &mut Rng) {
    let value = rng.u8(..);
    frame.resize(frame.len() + rng.usize(1..100), value);
}
