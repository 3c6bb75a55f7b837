//! Frames in the opposite direction: what came from the peer goes to it.

/// The frame with the addresses of its IP header and the ports behind it exchanged; as it is where
/// there is no such header.
#[must_use]
pub fn reversed(frame: &[u8]) -> Vec<u8> {
    let mut reversed = frame.to_vec();
    let _ = reverse(&mut reversed);
    reversed
}

/// `None` if the frame ends too early.
fn reverse(frame: &mut [u8]) -> Option<()> {
    let mut at = 14;
    while matches!(frame.get(at - 2..at)?, [0x81, 0] | [0x88, 0xa8]) {
        at += 4;
    }
    let (addresses, len, protocol, transport) = match frame.get(at - 2..at)? {
        [0x08, 0x00] => {
            let words = usize::from(frame.get(at)? & 0x0f);
            (at + 12, 4, *frame.get(at + 9)?, at + 4 * words)
        }
        [0x86, 0xdd] => (at + 8, 16, *frame.get(at + 6)?, at + 40),
        _ => return None,
    };
    exchange(frame, addresses, len)?;
    if matches!(protocol, 6 | 17 | 132) {
        exchange(frame, transport, 2)?;
    }
    Some(())
}

/// Exchanges the `len` bytes at `at` with those behind them.
fn exchange(frame: &mut [u8], at: usize, len: usize) -> Option<()> {
    let (first, second) = frame.get_mut(at..at + 2 * len)?.split_at_mut(len);
    first.swap_with_slice(second);
    Some(())
}
