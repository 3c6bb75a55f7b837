//! The reader of captures, and what `manoward explain` makes of each frame.

use std::path::Path;

use manoward::explain::{
    addresses,
    capture::{Capture, Captured},
    parse_hex, to_hex,
};
use verdict::frame::{ethernet, packet::Packet as _};
use verdict::host::Frame;

/// Most frames that are checked.
const FRAMES: usize = 64;

/// Reads `data` as a capture file.
pub fn run(data: &[u8]) {
    let Ok(mut capture) = Capture::read(data, Path::new("capture.pcap")) else {
        return;
    };
    for _ in 0..FRAMES {
        match capture.next() {
            Some(Ok(Captured::Frame { bytes, .. })) => check(&bytes),
            Some(Ok(Captured::OtherLink(_))) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn check(bytes: &[u8]) {
    let frame = Frame {
        bytes,
        ifindex: 1,
        vlan: None,
    };
    let _ = ethernet::parse(&frame);
    assert!(frame.view::<2>(bytes.len().saturating_sub(1)).is_none());
    assert!(frame.view::<2>(usize::MAX).is_none());
    let _ = addresses(bytes);
    let again = parse_hex(&to_hex(bytes));
    assert!(again.is_ok_and(|again| again == bytes), "hexadecimal");
}
