use std::{borrow::Cow, time::Duration};

use pcap_file::{
    pcap::{PcapHeader, PcapPacket, PcapWriter},
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock, interface_description::InterfaceDescriptionBlock,
        },
    },
};
use tempfile::NamedTempFile;

use super::*;

/// A pcap file with these frames, the second of which is cut short.
pub fn pcap(link: DataLink, frames: &[&[u8]]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let header = PcapHeader {
        datalink: link,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(file.reopen().unwrap(), header).unwrap();
    for (index, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32 + if index == 1 { 100 } else { 0 };
        let packet = PcapPacket::new(Duration::ZERO, length, frame);
        writer.write_packet(&packet).unwrap();
    }
    file
}

fn all(path: &Path) -> Vec<Captured> {
    let mut capture = Capture::open(path).unwrap();
    std::iter::from_fn(|| capture.next())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_link_type_with_the_length_of_a_check_sequence_is_ethernet() {
    let file = pcap(DataLink::from(0x5400_0001), &[&[1; 60]]);
    let captured: Vec<_> = Capture::open(file.path())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(
        matches!(captured[..], [Captured::Frame { whole: true, .. }]),
        "{captured:?}"
    );
}

#[test]
fn times_have_the_resolution_of_their_interface() {
    let micro = since_1970(1_700_000_000_000_000, MICROSECONDS);
    assert_eq!(micro, Duration::from_secs(1_700_000_000));
    assert_eq!(since_1970(1_700_000_000_000_000_000, 9), micro);
    assert_eq!(since_1970(1_700_000_000 << 20, 0x94), micro);
}

#[test]
fn frames_of_a_pcap_file() {
    let file = pcap(DataLink::ETHERNET, &[&[1; 60], &[2; 60]]);
    let expected = [
        Captured::Frame {
            bytes: vec![1; 60],
            whole: true,
            time: Duration::ZERO,
        },
        Captured::Frame {
            bytes: vec![2; 60],
            whole: false,
            time: Duration::ZERO,
        },
    ];
    assert_eq!(all(file.path()), expected);
}

#[test]
fn another_link_type_is_refused() {
    let file = pcap(DataLink::LINUX_SLL, &[&[1; 60]]);
    let error = Capture::open(file.path()).err().unwrap();
    assert!(matches!(error, CaptureError::Link { .. }), "{error}");
}

#[test]
fn frames_of_a_pcapng_file_and_other_links_among_them() {
    let file = NamedTempFile::new().unwrap();
    let mut writer = PcapNgWriter::new(file.reopen().unwrap()).unwrap();
    for link in [DataLink::ETHERNET, DataLink::RAW] {
        let interface = InterfaceDescriptionBlock::new(link, 0xffff);
        writer.write_pcapng_block(interface).unwrap();
    }
    for interface_id in [0, 1] {
        let packet = EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::ZERO,
            original_len: 60,
            data: Cow::Owned(vec![interface_id as u8; 60]),
            options: Vec::new(),
        };
        writer.write_pcapng_block(packet).unwrap();
    }
    let expected = [
        Captured::Frame {
            bytes: vec![0; 60],
            whole: true,
            time: Duration::ZERO,
        },
        Captured::OtherLink(DataLink::RAW),
    ];
    assert_eq!(all(file.path()), expected);
}

#[test]
fn what_is_no_capture_is_named() {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "apiVersion: manoward/v1\nname: x\nserial: 1\n").unwrap();
    let error = Capture::open(file.path()).err().unwrap();
    assert!(matches!(error, CaptureError::Format { .. }), "{error}");
    let error = Capture::open(Path::new("/nonexistent.pcap")).err().unwrap();
    assert!(matches!(error, CaptureError::Read { .. }), "{error}");
}
