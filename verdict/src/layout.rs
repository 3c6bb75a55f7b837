//! What kernel and user space share besides the [image](crate::image): versions, the control
//! record, and capacities.

/// Version of everything in this crate that pinned maps hold. A datapath of another version is
/// never opened, only replaced.
pub const LAYOUT_VERSION: u16 = 15;

/// Places for images: of the policy in force, of the one that was confirmed last, of the next, and
/// [`NOTHING`].
pub const SLOTS: u32 = 4;

/// Lines of a chunk, the unit in which images lie in the kernel: 1 MiB.
///
/// A chunk is one map value, so that a program finds a line in it by arithmetic. It is also what
/// kernels before 5.18 take as one value, which is 4 MiB at most.
pub const CHUNK_LINES: u32 = 1 << 14;

/// Most sets of the table of flows: 288 MiB.
pub const MAX_FLOW_SETS: u32 = 1 << 19;

/// What the agent tells about the table of flows, and what else is remembered with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct FlowControl {
    /// Seed of the hashes; the table is void without it.
    pub seed: u64,
    /// Tick until which TCP connections of guests are taken over mid-stream.
    pub adopting_until: u32,
    /// Jiffies in a second by the clock of leases; 0 where they end by ticks.
    pub jiffies_per_second: u32,
    /// Not 0 where the inner door judges all that sockets receive from groups.
    pub groups_at_sockets: u64,
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
    /// Inode of the network namespace whose sockets are protected.
    pub namespace: u64,
    /// [`DoorControl::AUDIT`].
    pub flags: u64,
}

impl DoorControl {
    /// Drops are counted, and pass.
    pub const AUDIT: u64 = 1;
}

/// Most chunks of an image: 256 MiB.
pub const CHUNKS: u32 = 256;

/// The slot of an image that protects nothing: it is never written, and zeros mean that.
pub const NOTHING: u32 = SLOTS - 1;

/// Most interfaces that a policy on trial may name beside those of the confirmed one.
pub const BEYOND: usize = 8;

/// The control record, which names the slot that every packet is judged by.
///
/// Where `slot` and `confirmed` differ, the image in `slot` is on trial: it is in force until the time
/// that `until` has for its slot, by the clock of leases, and from then on the confirmed one is.
///
/// The numbers of slots are themselves the keys by which programs look the image up. Each is below 256
/// from the first policy on, so that all but one of its bytes stay as they are: either is replaced at
/// once even where the kernel copies the record bytewise. What belongs to a slot is written before that
/// is named. The digests are for the agent alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Control {
    /// The slot that was written last.
    pub slot: u32,
    /// The slot that was confirmed last.
    pub confirmed: u32,
    /// The time until which the image in each slot is in force, unless it is confirmed.
    pub until: [u64; SLOTS as usize],
    /// [`NOTHING`]: the key by which interfaces in `beyond` are judged once a trial is over.
    pub nothing: u32,
    /// Indexes of interfaces that only the policy on trial names; 0 for none.
    pub beyond: [u32; BEYOND],
    /// Not 0 while there are [exemptions](crate::state::exemption).
    pub exempting: u32,
    /// Digest of the policy in each slot.
    pub digests: [u64; SLOTS as usize],
}

impl Control {
    /// The record before the first policy: no slot has these numbers.
    pub const NONE: Self = Self {
        slot: u32::MAX,
        confirmed: u32::MAX,
        until: [0; SLOTS as usize],
        nothing: NOTHING,
        beyond: [0; BEYOND],
        exempting: 0,
        digests: [0; SLOTS as usize],
    };

    /// Whether an image is on trial, or was until its time was over.
    #[inline(always)]
    #[must_use]
    pub const fn on_trial(&self) -> bool {
        self.slot != self.confirmed
    }

    /// The slot that nobody is judged by, now or when a trial ends.
    #[must_use]
    pub const fn free(&self) -> u32 {
        let mut slot = 0;
        while slot == self.slot || slot == self.confirmed {
            slot += 1;
        }
        slot
    }

    /// Digest of the policy in `slot`; `None` where there is none.
    #[must_use]
    pub fn digest(&self, slot: u32) -> Option<u64> {
        if slot == NOTHING {
            return None;
        }
        self.digests.get(slot as usize).copied()
    }
}

const _: () = assert!(size_of::<Control>() == 112);

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
    fn before_the_first_policy_no_slot_is_named() {
        assert!(!Control::NONE.on_trial());
        assert_eq!(Control::NONE.digest(Control::NONE.slot), None);
    }

    #[test]
    fn a_free_slot_is_one_that_nobody_is_judged_by() {
        for slot in 0..NOTHING {
            for confirmed in 0..SLOTS {
                let control = Control {
                    slot,
                    confirmed,
                    ..Control::NONE
                };
                let free = control.free();
                assert!(free < NOTHING && free != slot && free != confirmed);
                assert_eq!(control.on_trial(), slot != confirmed);
            }
        }
    }

    #[test]
    fn nothing_is_no_policy() {
        let digests = [1, 2, 3, 4];
        let control = Control {
            digests,
            ..Control::NONE
        };
        assert_eq!(control.digest(2), Some(3));
        assert_eq!(control.digest(NOTHING), None);
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
