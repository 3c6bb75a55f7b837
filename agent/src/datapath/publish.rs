//! Publishes an image: writes it into a slot that no program reads, then switches to that slot by
//! writing one word.

use std::{collections::BTreeMap, fmt, os::fd::AsFd, panic, sync::Arc, thread, time::Duration};

use aya::maps::{Array, ArrayOfMaps, Map, MapData, MapError};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use verdict::{
    image::{
        fixed::HEADER,
        header::{Flags, word},
        line::Line,
    },
    layout::{BEYOND, Control, NOTHING, SLOTS, chunk_index},
};

use super::{
    Datapath, LoadError,
    clock::LeaseClock,
    flow_control,
    flows::{self, FlowError},
    maps::{Chunk, ControlValue, name},
    settings,
};
use crate::image::Image;

/// `BPF_F_MMAPABLE` (linux/bpf.h): inner maps must have the flags of their template.
const MMAPABLE: u32 = 1 << 10;

/// What the kernel enforces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Enforced {
    /// Digest of the policy that was confirmed last; `None` if that is none.
    pub confirmed: Option<u64>,
    /// The policy on trial.
    pub trial: Option<Trial>,
}

/// A policy on trial, as the kernel knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trial {
    /// Digest of the policy.
    pub digest: Option<u64>,
    /// Time until it is over; zero if it is.
    pub left: Duration,
}

/// Why an image was not published. The policy before stays in force.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The datapath lacks a map.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no clock.
    #[error(transparent)]
    Clock(#[from] FlowError),
    /// The kernel refused an operation on a map.
    #[error("cannot {operation}: {source}. The policy in force is unchanged")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: MapError,
    },
}

type ChunkMap = Array<MapData, Chunk>;

/// Threads that put chunks into their places at the same time.
const PUTTING: usize = 16;

/// Most chunks that are remembered: each takes a file descriptor.
const REMEMBERED: usize = 256;

/// SHA-256 of the lines of a chunk.
type Digest = [u8; 32];

/// The chunks that this process has put into slots, by their index.
#[derive(Default)]
pub(super) struct Placed(BTreeMap<u32, (Digest, Arc<ChunkMap>)>);

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Placed {
    fn holds(&self, index: u32, digest: Digest) -> bool {
        self.0
            .get(&index)
            .is_some_and(|(known, _)| *known == digest)
    }

    fn with(&self, digest: Digest) -> Option<Arc<ChunkMap>> {
        let mut all = self.0.values();
        let found = all.find(|(known, _)| *known == digest);
        found.map(|(_, chunk)| Arc::clone(chunk))
    }

    fn note(&mut self, index: u32, digest: Digest, chunk: Arc<ChunkMap>) {
        self.0.remove(&index);
        if self.0.len() < REMEMBERED {
            self.0.insert(index, (digest, chunk));
        }
    }
}

fn digest(lines: &[Line]) -> Digest {
    let mut hasher = Sha256::new();
    let mut bytes = [0; 64];
    for line in lines {
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(line) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        hasher.update(bytes);
    }
    hasher.finalize().into()
}

fn new_chunk(value: &Chunk) -> Result<ChunkMap, PublishError> {
    let mut chunk = Array::create(1, MMAPABLE).map_err(failed("create a map for the policy"))?;
    chunk.set(0, value, 0).map_err(failed("write the policy"))?;
    Ok(chunk)
}

type Chunks<'a> = ArrayOfMaps<&'a mut MapData, Array<MapData, Chunk>>;

impl Datapath {
    /// Enforces `image` from the next packet on, and for good.
    ///
    /// When this returns, no packet is judged by the previous image any more.
    pub fn publish(&mut self, image: &Image) -> Result<(), PublishError> {
        let slot = self.place(image, 0)?;
        self.switch(|control| {
            control.slot = slot;
            control.confirmed = slot;
        })
    }

    /// Enforces `image` from the next packet on and for `term`; then the programs themselves go back
    /// to the image that was confirmed last, and to nothing on the interfaces `beyond` it.
    ///
    /// A trial that goes on keeps its confirmed image.
    pub fn try_out(
        &mut self,
        image: &Image,
        beyond: &[u32],
        term: Duration,
    ) -> Result<(), PublishError> {
        let until = self.time_in(term)?;
        if self.control()?.confirmed >= SLOTS {
            self.switch(|control| control.confirmed = NOTHING)?;
        }
        let slot = self.place(image, until)?;
        self.set_beyond(beyond)?;
        self.switch(|control| control.slot = slot)
    }

    /// Sets the interfaces that only the policy on trial names.
    pub fn set_beyond(&mut self, beyond: &[u32]) -> Result<(), PublishError> {
        self.write(|control| {
            control.beyond = [0; BEYOND];
            for (place, &ifindex) in control.beyond.iter_mut().zip(beyond) {
                *place = ifindex;
            }
        })
    }

    /// Replaces the image on trial, whose time stays as it is.
    pub fn retry(&mut self, image: &Image, beyond: &[u32]) -> Result<(), PublishError> {
        self.set_beyond(beyond)?;
        let control = self.control()?;
        let until = control.until[(control.slot % SLOTS) as usize];
        let slot = self.place(image, until)?;
        self.switch(|control| control.slot = slot)
    }

    /// Replaces the image that was confirmed last.
    pub fn replace_confirmed(&mut self, image: &Image) -> Result<(), PublishError> {
        let slot = self.place(image, 0)?;
        self.switch(|control| control.confirmed = slot)
    }

    /// Enforces the image on trial for good.
    pub fn confirm(&mut self) -> Result<(), PublishError> {
        self.switch(|control| control.confirmed = control.slot)?;
        self.set_beyond(&[])
    }

    /// Ends the time of the image on trial, if it is not over yet.
    pub fn end_term(&mut self) -> Result<(), PublishError> {
        self.switch(|control| control.until[(control.slot % SLOTS) as usize] = 0)
    }

    /// Makes the image that was confirmed last the only one, once nothing is attached to interfaces
    /// that only the other policy names.
    pub fn go_back(&mut self) -> Result<(), PublishError> {
        self.switch(|control| control.slot = control.confirmed)?;
        self.set_beyond(&[])
    }

    /// Writes `image` into a slot that nobody is judged by; it is on trial until the time `until` once
    /// it is named.
    fn place(&mut self, image: &Image, until: u64) -> Result<u32, PublishError> {
        let slot = self.control()?.free();
        self.fill(slot, image)?;
        self.write(|control| {
            control.until[slot as usize] = until;
            control.digests[slot as usize] = image.digest();
        })?;
        Ok(slot)
    }

    /// Changes the control record, and waits until every packet is judged by what it says.
    fn switch(&mut self, change: impl FnOnce(&mut Control)) -> Result<(), PublishError> {
        self.write(change)?;
        self.wait_for_programs()
    }

    pub(super) fn write(&mut self, change: impl FnOnce(&mut Control)) -> Result<(), PublishError> {
        let _writing = settings::record();
        let mut record = self.control()?;
        change(&mut record);
        let mut control: Array<_, ControlValue> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .set(0, ControlValue(record), 0)
            .map_err(failed("write the control record"))
    }

    /// The time in `term` by the clock of leases.
    pub(super) fn time_in(&self, term: Duration) -> Result<u64, PublishError> {
        let clock = LeaseClock::of(&flow_control::read(&self.pins)?);
        Ok(clock.at(flows::monotonic()?) + clock.steps(term))
    }

    /// Writes every chunk of `image` into `slot`. Of what lies there already, or in another slot, no chunk is
    /// written again: slots share the maps of equal chunks.
    fn fill(&mut self, slot: u32, image: &Image) -> Result<(), PublishError> {
        let mut missing = Vec::new();
        for (number, lines) in (0..).zip(image.chunks()) {
            if number == 0 {
                let mut value = Chunk::holding(lines);
                let flags = &mut value.0[HEADER as usize][word::FLAGS];
                *flags = Flags(*flags).in_slot(slot).0;
                let mut first: Array<_, Chunk> = self
                    .map(name::FIRST)?
                    .try_into()
                    .map_err(failed("open the images"))?;
                first
                    .set(slot, *value, 0)
                    .map_err(failed("write the policy"))?;
                continue;
            }
            let index = chunk_index(slot, number);
            let digest = digest(lines);
            if self.placed.holds(index, digest) {
                continue;
            }
            let chunk = match self.placed.with(digest) {
                Some(chunk) => chunk,
                None => Arc::new(new_chunk(&Chunk::holding(lines))?),
            };
            missing.push((index, digest, chunk));
        }
        self.put(&missing)?;
        for (index, digest, chunk) in missing {
            self.placed.note(index, digest, chunk);
        }
        Ok(())
    }

    /// Has the places of an image hold chunks. The kernel waits for all programs with each, so many are put
    /// at the same time.
    fn put(&mut self, chunks: &[(u32, Digest, Arc<ChunkMap>)]) -> Result<(), PublishError> {
        if chunks.len() <= 1 {
            return chunks
                .iter()
                .try_for_each(|(index, _, chunk)| self.set_chunk(*index, chunk));
        }
        let images = match self.map(name::IMAGES)? {
            Map::ArrayOfMaps(images) => images.fd().as_fd(),
            _ => return Err(LoadError::Missing(name::IMAGES).into()),
        };
        let share = chunks.len().div_ceil(PUTTING);
        thread::scope(|scope| {
            let threads = chunks.chunks(share).map(|share| {
                scope.spawn(move || {
                    let images = images.try_clone_to_owned().map_err(MapError::from);
                    let images = images.and_then(MapData::from_fd).map(Map::ArrayOfMaps);
                    let mut images: ArrayOfMaps<MapData, Array<MapData, Chunk>> = images
                        .and_then(TryInto::try_into)
                        .map_err(failed("open the images"))?;
                    for (index, _, chunk) in share {
                        images
                            .set(*index, &**chunk, 0)
                            .map_err(failed("place a part of the policy"))?;
                    }
                    Ok(())
                })
            });
            let threads: Vec<_> = threads.collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(put) => put,
                    Err(panic) => panic::resume_unwind(panic),
                })
        })
    }

    /// Waits until every program run that is in progress has ended: it may use the image before, if
    /// it began before the control record was written.
    ///
    /// The kernel does this when a map of maps is updated. The entry for the first chunk of nothing is
    /// written for this alone: nobody reads it.
    fn wait_for_programs(&mut self) -> Result<(), PublishError> {
        self.set_chunk(chunk_index(NOTHING, 0), &new_chunk(&Chunk::zeroed())?)
    }

    fn set_chunk(&mut self, index: u32, chunk: &ChunkMap) -> Result<(), PublishError> {
        let mut chunks: Chunks<'_> = self
            .map(name::IMAGES)?
            .try_into()
            .map_err(failed("open the images"))?;
        chunks
            .set(index, chunk, 0)
            .map_err(failed("place a part of the policy"))
    }

    /// The control record.
    pub(super) fn control(&mut self) -> Result<Control, PublishError> {
        let control: Array<_, ControlValue> = self
            .map(name::CONTROL)?
            .try_into()
            .map_err(failed("open the control record"))?;
        control
            .get(&0, 0)
            .map(|value| value.0)
            .map_err(failed("read the control record"))
    }

    /// What the kernel enforces; `None` before the first policy.
    pub fn enforced(&mut self) -> Result<Option<Enforced>, PublishError> {
        let control = self.control()?;
        if control.slot >= SLOTS {
            return Ok(None);
        }
        let trial = if control.on_trial() {
            let until = control.until[(control.slot % SLOTS) as usize];
            let clock = LeaseClock::of(&flow_control::read(&self.pins)?);
            let left = until.saturating_sub(clock.at(flows::monotonic()?));
            Some(Trial {
                digest: control.digest(control.slot),
                left: clock.duration(left),
            })
        } else {
            None
        };
        Ok(Some(Enforced {
            confirmed: control.digest(control.confirmed),
            trial,
        }))
    }
}

fn failed(operation: &'static str) -> impl Fn(MapError) -> PublishError {
    move |source| PublishError::Map { operation, source }
}
