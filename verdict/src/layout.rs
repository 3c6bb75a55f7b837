//! What kernel and user space share besides the [image](crate::image): versions, the control
//! record, and capacities.

/// Version of everything in this crate that pinned maps hold. A datapath of another version is
/// never opened, only replaced.
pub const LAYOUT_VERSION: u16 = 6;

/// Places for images.
pub const SLOTS: u32 = 4;

/// Lines of a chunk, the unit in which images lie in the kernel: 1 MiB.
///
/// A chunk is one map value, so that a program finds a line in it by arithmetic. It is also what
/// kernels before 5.18 take as one value, which is 4 MiB at most.
pub const CHUNK_LINES: u32 = 1 << 14;

/// Most sets of the table of flows: 256 MiB.
pub const MAX_FLOW_SETS: u32 = 1 << 19;

/// What the agent tells about the table of flows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct FlowControl {
    /// Seed of the hashes; the table is void without it.
    pub seed: u64,
    /// Tick until which TCP connections of guests are taken over in their midst.
    pub adopting_until: u32,
    /// Jiffies in a second by the clock of leases; 0 where they end by ticks.
    pub jiffies_per_second: u32,
}

/// Most chunks of an image: 256 MiB.
pub const CHUNKS: u32 = 256;

/// The control record: one word that names the slot every packet is judged by.
///
/// Byte 0 holds the slot, bits 8 to 62 a digest of the policy in it, by which an agent that starts
/// knows what is enforced. Bit 63 is set in every record that was written, so that a map which
/// nobody has filled yet enforces nothing by accident. Programs read only byte 0 and bit 63, which
/// never changes again: a record is replaced at once even where the kernel copies it bytewise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub struct Control(pub u64);

impl Control {
    const WRITTEN: u64 = 1 << 63;
    const SLOT_BITS: u32 = 8;

    /// Bits that a digest has.
    pub const DIGEST_BITS: u32 = 55;

    /// The record before the first policy.
    pub const NONE: Self = Self(0);

    /// A record that enforces the image in `slot`, of the policy with `digest`.
    #[must_use]
    pub const fn enforce(slot: u32, digest: u64) -> Self {
        let slot = slot as u64 & ((1 << Self::SLOT_BITS) - 1);
        Self(Self::WRITTEN | (digest << Self::SLOT_BITS) | slot)
    }

    /// The slot in force; `None` before the first policy.
    #[inline(always)]
    #[must_use]
    pub const fn enforced(self) -> Option<u32> {
        if self.0 & Self::WRITTEN == 0 {
            None
        } else {
            Some((self.0 & 0xff) as u32)
        }
    }

    /// Digest of the policy in force.
    #[must_use]
    pub const fn digest(self) -> u64 {
        (self.0 & !Self::WRITTEN) >> Self::SLOT_BITS
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
        let digest = (1 << Control::DIGEST_BITS) - 2;
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

    #[test]
    fn the_largest_table_of_flows_has_256_mebibytes() {
        let bytes =
            MAX_FLOW_SETS * crate::flow::table::WAYS * size_of::<crate::flow::Entry>() as u32;
        assert_eq!(bytes, 256 << 20);
    }
}
