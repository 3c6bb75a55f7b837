//! What kernel and user space share besides the [image](crate::image): versions, the control
//! record, and capacities.

/// Version of everything in this crate that pinned maps hold. A datapath of another version is
/// never opened, only replaced.
pub const LAYOUT_VERSION: u16 = 8;

/// Places for images.
pub const SLOTS: u32 = 4;

/// Lines of a chunk, the unit in which images lie in the kernel: 1 MiB.
///
/// A chunk is one map value, so that a program finds a line in it by arithmetic. It is also what
/// kernels before 5.18 take as one value, which is 4 MiB at most.
pub const CHUNK_LINES: u32 = 1 << 14;

/// Most sets of the table of flows: 288 MiB.
pub const MAX_FLOW_SETS: u32 = 1 << 19;

/// What the agent tells about the table of flows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct FlowControl {
    /// Seed of the hashes; the table is void without it.
    pub seed: u64,
    /// Tick until which TCP connections of guests are taken over mid-stream.
    pub adopting_until: u32,
    /// Jiffies in a second by the clock of leases; 0 where they end by ticks.
    pub jiffies_per_second: u32,
}

/// Entries of the table of covered interfaces.
pub const COVERED: u32 = 1 << 10;

/// Mark of an interface that leads to the host's own guests and containers: the door lets everything pass
/// there.
pub const INSIDE: u32 = 1 << 31;

/// What the agent tells the inner door.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct DoorControl {
    /// The network namespace whose sockets are protected, as `SO_NETNS_COOKIE` tells it.
    pub namespace: u64,
    /// [`DoorControl::AUDIT`], [`DoorControl::EVERYTHING`].
    pub flags: u64,
}

impl DoorControl {
    /// Drops are counted, and pass.
    pub const AUDIT: u64 = 1;
    /// The policy protects all addresses of the host: groups and addresses that are not listed are
    /// judged, too.
    pub const EVERYTHING: u64 = 2;
}

/// Most chunks of an image: 256 MiB.
pub const CHUNKS: u32 = 256;

/// The control record, which names the slot that every packet is judged by.
///
/// The number of the slot is itself the key by which programs look the image up. It is below 256
/// from the first policy on, so that all but one of its bytes stay as they are: a record is replaced
/// at once even where the kernel copies it bytewise. The rest is for the agent alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Control {
    slot: u32,
    reserved: u32,
    digest: u64,
}

impl Control {
    /// The record before the first policy: no slot has this number.
    pub const NONE: Self = Self {
        slot: u32::MAX,
        reserved: 0,
        digest: 0,
    };

    /// A record that enforces the image in `slot`, of the policy with `digest`, by which an agent that
    /// starts knows what is enforced.
    #[must_use]
    pub const fn enforce(slot: u32, digest: u64) -> Self {
        Self {
            slot,
            reserved: 0,
            digest,
        }
    }

    /// The slot in force; `None` before the first policy.
    #[must_use]
    pub const fn enforced(self) -> Option<u32> {
        if self.slot < SLOTS {
            Some(self.slot)
        } else {
            None
        }
    }

    /// Digest of the policy in force.
    #[must_use]
    pub const fn digest(self) -> u64 {
        self.digest
    }
}

/// Index of a chunk among those of all slots.
#[inline(always)]
#[must_use]
pub const fn chunk_index(slot: u32, chunk: u32) -> u32 {
    slot * CHUNKS + (chunk & (CHUNKS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_record_names_slot_and_policy() {
        assert_eq!(Control::NONE.enforced(), None);
        assert_eq!(Control::enforce(SLOTS, 1).enforced(), None);
        let digest = u64::MAX - 1;
        let control = Control::enforce(3, digest);
        assert_eq!((control.enforced(), control.digest()), (Some(3), digest));
    }

    #[test]
    fn every_chunk_has_an_index_of_its_own() {
        let mut indexes = std::collections::BTreeSet::new();
        for slot in 0..SLOTS {
            for chunk in 0..CHUNKS {
                let index = chunk_index(slot, chunk);
                assert!(index < SLOTS * CHUNKS && indexes.insert(index));
            }
        }
        // An image that names a chunk past the last one reads one of its own.
        assert_eq!(chunk_index(1, CHUNKS), chunk_index(1, 0));
    }
}
