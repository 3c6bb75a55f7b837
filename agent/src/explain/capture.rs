//! Frames in capture files: pcap and pcapng.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use pcap_file::{
    DataLink, PcapError,
    pcap::PcapReader,
    pcapng::{Block, PcapNgReader},
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
            Reader::Pcap(pcap) if pcap.header().datalink != DataLink::ETHERNET => {
                Err(CaptureError::Link {
                    path: path.to_owned(),
                    link: pcap.header().datalink,
                })
            }
            _ => Ok(capture),
        }
    }
}

impl<R: BufRead> Iterator for Capture<R> {
    type Item = Result<Captured, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = &self.path;
        let next = match &mut self.reader {
            Reader::Pcap(pcap) => pcap
                .next_packet()
                .map(|packet| packet.map(|packet| frame(&packet.data, packet.orig_len))),
            Reader::PcapNg(pcapng) => next_block(pcapng),
        };
        next.map(|next| next.map_err(|source| damaged(path, source)))
    }
}

/// The next packet among the blocks of a pcapng file.
fn next_block<R: BufRead>(pcapng: &mut PcapNgReader<R>) -> Option<Result<Captured, PcapError>> {
    loop {
        let (interface, bytes, length) = match pcapng.next_block()? {
            Err(error) => return Some(Err(error)),
            Ok(Block::EnhancedPacket(packet)) => (
                packet.interface_id,
                packet.data.into_owned(),
                packet.original_len,
            ),
            Ok(Block::Packet(packet)) => (
                packet.interface_id.into(),
                packet.data.into_owned(),
                packet.original_len,
            ),
            Ok(Block::SimplePacket(packet)) => (0, packet.data.into_owned(), packet.original_len),
            Ok(_) => continue,
        };
        let link = pcapng
            .interfaces()
            .get(interface as usize)
            .map(|interface| interface.linktype);
        return Some(match link {
            Some(DataLink::ETHERNET) => Ok(frame(&bytes, length)),
            Some(other) => Ok(Captured::OtherLink(other)),
            None => Err(PcapError::InvalidField(
                "a packet of an interface that is not described",
            )),
        });
    }
}

fn frame(bytes: &[u8], length: u32) -> Captured {
    Captured::Frame {
        bytes: bytes.to_vec(),
        whole: bytes.len() >= length as usize,
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
