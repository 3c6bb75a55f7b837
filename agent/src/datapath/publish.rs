//! Publishes an image: writes it into a slot that no program reads, then switches to that slot by
//! writing one word.

use aya::maps::{Array, ArrayOfMaps, MapData, MapError};
use thiserror::Error;
use verdict::{
    image::{
        fixed::HEADER,
        header::{Flags, word},
        line::Line,
    },
    layout::{Control, chunk_index},
};

use super::{
    Datapath, LoadError,
    maps::{Chunk, ControlValue, name},
};
use crate::image::Image;

/// `BPF_F_MMAPABLE` (linux/bpf.h): inner maps must have the flags of their template.
const MMAPABLE: u32 = 1 << 10;

/// Number of slots, used in turn: the previous policy stays in its slot until the next is
/// published.
const IN_TURN: u32 = 2;

/// Why an image was not published. The policy before stays in force.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The datapath lacks a map.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel refused an operation on a map.
    #[error("cannot {operation}: {source}. The policy in force is unchanged")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: MapError,
    },
}

type Chunks<'a> = ArrayOfMaps<&'a mut MapData, Array<MapData, Chunk>>;

impl Datapath {
    /// Enforces `image` from the next packet on.
    ///
    /// When this returns, no packet is judged by the previous image any more.
    pub fn publish(&mut self, image: &Image) -> Result<(), PublishError> {
        let slot = self
            .control()?
            .enforced()
            .map_or(0, |slot| (slot + 1) % IN_TURN);
        self.fill(slot, image)?;
        let record = Control::enforce(slot, image.digest());
        let mut control: Array<_, ControlValue> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .set(0, ControlValue(record), 0)
            .map_err(failed("write the control record"))?;
        self.wait_for_programs(slot)
    }

    /// Writes every chunk of `image` into `slot`.
    fn fill(&mut self, slot: u32, image: &Image) -> Result<(), PublishError> {
        let mut value = Chunk::zeroed();
        for (number, lines) in (0..).zip(image.chunks()) {
            let (filled, rest) = value.0.split_at_mut(lines.len());
            filled.copy_from_slice(lines);
            rest.fill(Line::default());
            if number == 0 {
                let flags = &mut value.0[HEADER as usize][word::FLAGS];
                *flags = Flags(*flags).in_slot(slot).0;
                let mut first: Array<_, Chunk> = self
                    .map(name::FIRST)?
                    .try_into()
                    .map_err(failed("open the images"))?;
                first
                    .set(slot, *value, 0)
                    .map_err(failed("write the policy"))?;
            } else {
                self.set_chunk(chunk_index(slot, number), &value)?;
            }
        }
        Ok(())
    }

    /// Waits until every program run that is in progress has ended: it may use the previous image,
    /// if it began before the control record was written.
    ///
    /// The kernel does this when a map of maps is updated. The entry for the first chunk is written
    /// for this alone; first chunks are in another map.
    fn wait_for_programs(&mut self, slot: u32) -> Result<(), PublishError> {
        self.set_chunk(chunk_index(slot, 0), &Chunk::zeroed())
    }

    fn set_chunk(&mut self, index: u32, value: &Chunk) -> Result<(), PublishError> {
        let mut chunk =
            Array::create(1, MMAPABLE).map_err(failed("create a map for the policy"))?;
        chunk.set(0, value, 0).map_err(failed("write the policy"))?;
        let mut chunks: Chunks<'_> = self
            .map(name::IMAGES)?
            .try_into()
            .map_err(failed("open the images"))?;
        chunks
            .set(index, &chunk, 0)
            .map_err(failed("place a part of the policy"))
    }

    /// The control record.
    fn control(&mut self) -> Result<Control, PublishError> {
        let control: Array<_, ControlValue> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .get(&0, 0)
            .map(|value| value.0)
            .map_err(failed("read the control record"))
    }

    /// Digest of the policy that the kernel enforces; `None` before the first.
    pub fn enforced(&mut self) -> Result<Option<u64>, PublishError> {
        let control = self.control()?;
        Ok(control.enforced().map(|_| control.digest()))
    }
}

fn failed(operation: &'static str) -> impl Fn(MapError) -> PublishError {
    move |source| PublishError::Map { operation, source }
}
