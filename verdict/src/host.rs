//! A frame and the tables of [`state`](crate::state) in memory: what repeats a decision outside of
//! the kernel, in the agent, the tests and the fuzzers.

use crate::{
    frame::packet::Packet,
    image::{
        line::{Line, Missing, Tables},
        lookup::Lookup,
    },
    state::{
        flow::{Flows, Set, table},
        lease::{Lease, Leases},
        limit::Limit,
        served,
    },
};

/// A frame with what the hook knows besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// From the destination MAC address on.
    pub bytes: &'a [u8],
    /// VLAN tag (TCI, host byte order) that was taken out of the frame.
    pub vlan: Option<u16>,
    /// Index of the interface that it arrives on.
    pub ifindex: u32,
}

impl Packet for Frame<'_> {
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        self.bytes
            .get(offset..offset.checked_add(N)?)?
            .try_into()
            .ok()
    }

    fn offloaded_vlan(&self) -> Option<u16> {
        self.vlan
    }

    fn frame_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }
}

/// Where flows, leases and limits are kept.
pub trait Storage {
    /// The set `index` of the table of flows; `None` past the last one.
    fn set(&self, index: u32) -> Option<&Set>;

    /// Sets of the table of flows, a power of two.
    fn sets(&self) -> u32;

    /// The entry `index` of the table of leases; `None` past the last one.
    fn lease(&self, index: u32) -> Option<&Lease>;

    /// The limit `index`; `None` past the last one.
    fn limit(&self, index: u32) -> Option<&Limit>;

    /// The set `index` of what is served; `None` past the last one.
    fn served(&self, index: u32) -> Option<&served::Set>;
}

/// What is remembered, as a decision by the image in `tables` uses it.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Remembered<S, T> {
    /// Where it is kept.
    pub storage: S,
    /// The image that says how long states last.
    pub tables: T,
    /// Seed of the hashes.
    pub seed: u64,
    /// The tick of now.
    pub now: u32,
    /// The time by the clock of leases.
    pub clock: u64,
    /// Whether TCP connections of guests may be taken over mid-stream.
    pub adopting: bool,
    /// Whether it is shown packets of connections that exist already.
    pub shown: bool,
    /// Whether all that sockets of the host receive from groups is judged there.
    pub groups_at_sockets: bool,
    /// Whether packets change it.
    pub writable: bool,
}

impl<S: Storage, T> Leases for Remembered<S, T> {
    fn lease(&self, index: u32) -> Option<&Lease> {
        self.storage.lease(index)
    }

    fn clock(&self) -> u64 {
        self.clock
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

impl<S: Storage, T: Tables> Flows for Remembered<S, T> {
    fn set(&self, index: u32) -> Option<&Set> {
        self.storage.set(index)
    }

    fn mask(&self) -> u32 {
        self.storage.sets().saturating_sub(1)
    }

    fn now(&self) -> u32 {
        self.now
    }

    fn adopting(&self) -> bool {
        self.adopting
    }

    fn adopts_socket(&self) -> bool {
        self.shown
    }

    fn groups_at_sockets(&self) -> bool {
        self.groups_at_sockets
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.storage.limit(index)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        self.storage.served(index)
    }

    fn free(&self, hash: u64) -> u32 {
        table::free(self, &self.tables, hash)
    }
}

impl<S: Storage> Storage for &S {
    fn set(&self, index: u32) -> Option<&Set> {
        (**self).set(index)
    }

    fn sets(&self) -> u32 {
        (**self).sets()
    }

    fn lease(&self, index: u32) -> Option<&Lease> {
        (**self).lease(index)
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        (**self).limit(index)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        (**self).served(index)
    }
}

impl<T: Tables> Tables for &T {
    fn line(&self, index: u64) -> Result<&Line, Missing> {
        (**self).line(index)
    }
}

impl<T: Tables> Lookup for &T {}
