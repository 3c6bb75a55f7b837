//! Publishing an image: all of it into a slot that no packet reads, then one word.

use aya::maps::{Array, ArrayOfMaps, MapData, MapError};
use thiserror::Error;
use verdict::{
    image::Line,
    layout::{Control, chunk_index},
};

use super::{
    Datapath, LoadError,
    maps::{Chunk, name},
};
use crate::image::Image;

/// `BPF_F_MMAPABLE`: as the template of the inner maps has it.
const MMAPABLE: u32 = 1 << 10;

/// Slots that policies are published to in turn: the one before stays until the next.
const IN_TURN: u32 = 2;

/// Why an image was not published. What was enforced before still is.
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
    /// When this returns, no packet is judged by the image before any more.
    pub fn publish(&mut self, image: &Image) -> Result<(), PublishError> {
        let slot = self
            .control()?
            .enforced()
            .map_or(0, |slot| (slot + 1) % IN_TURN);
        let first = self.fill(slot, image)?;
        let record = Control::enforce(slot, image.digest());
        let mut control: Array<_, u64> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .set(0, record.0, 0)
            .map_err(failed("write the control record"))?;
        // The kernel returns from an update of this kind of map only after every program that ran
        // meanwhile has ended: with the image before, if it began before the record was written.
        self.set_chunk(chunk_index(slot, 0), &first)
    }

    /// Writes every chunk of `image` into `slot`, and returns the first.
    fn fill(&mut self, slot: u32, image: &Image) -> Result<Array<MapData, Chunk>, PublishError> {
        let mut first = None;
        let mut value = Chunk::zeroed();
        for (number, lines) in (0..).zip(image.chunks()) {
            let (filled, rest) = value.0.split_at_mut(lines.len());
            filled.copy_from_slice(lines);
            rest.fill(Line::default());
            let mut chunk =
                Array::create(1, MMAPABLE).map_err(failed("create a map for the policy"))?;
            chunk
                .set(0, &*value, 0)
                .map_err(failed("write the policy"))?;
            self.set_chunk(chunk_index(slot, number), &chunk)?;
            first.get_or_insert(chunk);
        }
        first.ok_or(PublishError::Load(LoadError::Missing(
            "first chunk of an image",
        )))
    }

    fn set_chunk(&mut self, index: u32, chunk: &Array<MapData, Chunk>) -> Result<(), PublishError> {
        let mut chunks: Chunks<'_> = self
            .map(name::IMAGES)?
            .try_into()
            .map_err(failed("open the images"))?;
        chunks
            .set(index, chunk, 0)
            .map_err(failed("place a part of the policy"))
    }

    /// The control record.
    fn control(&mut self) -> Result<Control, PublishError> {
        let control: Array<_, u64> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .get(&0, 0)
            .map(Control)
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
