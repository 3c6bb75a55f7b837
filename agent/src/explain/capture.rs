//! Frames in capture files: pcap and pcapng.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use pcap_file::{
    DataLink, PcapError,
    pcap::PcapReader,
    pcapng::{
        Block, PcapNgReader,
        blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
    },
};
use thiserror::Error;

/// First bytes of a pcapng file (IETF draft-ietf-opsawg-pcapng, section 4.1).
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Why a capture cannot be read.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none, or damaged.
    #[error("{path} cannot be read as a capture (pcap or pcapng): {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PcapError,
    },
    /// Not Ethernet.
    #[error(
        "{path} was captured on a link of type {link:?}, and only Ethernet frames can be judged. Capture on the interface itself instead of `any`"
    )]
    Link {
        /// The file.
        path: PathBuf,
        /// The type.
        link: DataLink,
    },
}

/// What a capture holds next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Captured {
    /// An Ethernet frame.
    Frame {
        /// From the destination MAC address on.
        bytes: Vec<u8>,
        /// Whether the capture has all of it.
        whole: bool,
        /// When it was captured, since 1970.
        time: Duration,
    },
    /// A packet of another link type.
    OtherLink(DataLink),
}

/// A capture file.
pub struct Capture<R: BufRead = BufReader<File>> {
    path: PathBuf,
    reader: Reader<R>,
}

enum Reader<R: BufRead> {
    Pcap(PcapReader<R>),
    PcapNg(PcapNgReader<R>),
}

impl Capture {
    /// Opens a file of either format.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|source| CaptureError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::read(BufReader::new(file), path)
    }
}

impl<R: BufRead> Capture<R> {
    /// Reads a capture of either format; `path` names it in errors.
    pub fn read(mut file: R, path: &Path) -> Result<Self, CaptureError> {
        let read = |source| CaptureError::Read {
            path: path.to_owned(),
            source,
        };
        let is_pcapng = file.fill_buf().map_err(read)?.starts_with(&PCAPNG);
        let reader = if is_pcapng {
            PcapNgReader::new(file).map(Reader::PcapNg)
        } else {
            PcapReader::new(file).map(Reader::Pcap)
        };
        let capture = Self {
            path: path.to_owned(),
            reader: reader.map_err(|source| damaged(path, source))?,
        };
        match &capture.reader {
            Reader::Pcap(pcap) if !is_ethernet(pcap.header().datalink) => Err(CaptureError::Link {
                path: path.to_owned(),
                link: pcap.header().datalink,
            }),
            _ => Ok(capture),
        }
    }
}

impl<R: BufRead> Iterator for Capture<R> {
    type Item = Result<Captured, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = &self.path;
        let next = match &mut self.reader {
            Reader::Pcap(pcap) => pcap.next_packet().map(|packet| {
                packet.map(|packet| frame(&packet.data, packet.orig_len, packet.timestamp))
            }),
            Reader::PcapNg(pcapng) => next_block(pcapng),
        };
        next.map(|next| next.map_err(|source| damaged(path, source)))
    }
}

/// The next packet among the blocks of a pcapng file.
fn next_block<R: BufRead>(pcapng: &mut PcapNgReader<R>) -> Option<Result<Captured, PcapError>> {
    loop {
        let (interface, bytes, length, time) = match pcapng.next_block()? {
            Err(error) => return Some(Err(error)),
            Ok(Block::EnhancedPacket(packet)) => (
                packet.interface_id,
                packet.data.into_owned(),
                packet.original_len,
                packet.timestamp.as_nanos() as u64,
            ),
            Ok(Block::Packet(packet)) => (
                packet.interface_id.into(),
                packet.data.into_owned(),
                packet.original_len,
                packet.timestamp,
            ),
            Ok(Block::SimplePacket(packet)) => {
                (0, packet.data.into_owned(), packet.original_len, 0)
            }
            Ok(_) => continue,
        };
        let Some(interface) = pcapng.interfaces().get(interface as usize) else {
            let unknown = "a packet of an interface that is not described";
            return Some(Err(PcapError::InvalidField(unknown)));
        };
        let link = interface.linktype;
        return Some(Ok(if is_ethernet(link) {
            frame(&bytes, length, since_1970(time, resolution(interface)))
        } else {
            Captured::OtherLink(link)
        }));
    }
}

/// Whether frames of this link type are of Ethernet. Above 16 bits it may tell how long a check sequence
/// (FCS) lies behind each frame (IETF draft-ietf-opsawg-pcap, section 4), which is no part of the packet.
fn is_ethernet(link: DataLink) -> bool {
    u32::from(link) as u16 == u32::from(DataLink::ETHERNET) as u16
}

/// How times of an interface are written: as a negative power of 10, or with the highest bit of 2. The
/// reader of the file takes all for nanoseconds.
fn resolution(interface: &InterfaceDescriptionBlock<'_>) -> u8 {
    let mut options = interface.options.iter();
    let found = options.find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    found.unwrap_or(MICROSECONDS)
}

/// The resolution where none is written (IETF draft-ietf-opsawg-pcapng, section 4.2).
const MICROSECONDS: u8 = 6;

/// The time of so many units.
fn since_1970(units: u64, resolution: u8) -> Duration {
    let power = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    let second = base.checked_pow(power).unwrap_or(u128::MAX);
    let nanoseconds = u128::from(units).saturating_mul(1_000_000_000) / second;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn frame(bytes: &[u8], length: u32, time: Duration) -> Captured {
    Captured::Frame {
        bytes: bytes.to_vec(),
        whole: bytes.len() >= length as usize,
        time,
    }
}

fn damaged(path: &Path, source: PcapError) -> CaptureError {
    CaptureError::Format {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
