//! How many flows the table is sized for where agent.yaml does not say.

use std::{fs, ops::RangeInclusive};

use procfs::{Current, Meminfo};
use tracing::warn;

/// Fewest and most flows that a table is sized for.
pub const FLOWS: RangeInclusive<u32> = 1 << 10..=1 << 20;

/// Most bytes that the tables take for each flow, with what is remembered of what peers begin.
const BYTES: u64 = 832;

/// What they may take of the host's memory: a 64th.
const SHARE: u64 = 64;

/// Limit of the kernel's connection tracking, where it is loaded.
const CONNTRACK: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

const GIB: u64 = 1 << 30;

/// How many flows the table is sized for on this host.
pub(super) fn flows() -> u32 {
    let memory = Meminfo::current().map(|memory| memory.mem_total);
    let memory = memory.unwrap_or_else(|error| {
        warn!(%error, "cannot read how much memory there is; the table of flows is small");
        GIB
    });
    let tracked = fs::read_to_string(CONNTRACK).ok();
    sized(memory, tracked.and_then(|text| text.trim().parse().ok()))
}

/// As many as the kernel tracks on a host with so many bytes of `memory`, where `tracked` says so, or would
/// track by default (`nf_conntrack_core.c`).
fn sized(memory: u64, tracked: Option<u64>) -> u32 {
    let usual = match memory {
        _ if memory > 4 * GIB => 1 << 18,
        _ if memory > GIB => 1 << 16,
        _ => memory / 16_384 / 8,
    };
    let most = memory / SHARE / BYTES;
    let flows = tracked.unwrap_or(usual).min(most);
    let (fewest, most) = (u64::from(*FLOWS.start()), u64::from(*FLOWS.end()));
    flows.clamp(fewest, most) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_kernel_tracks_within_a_share_of_the_memory() {
        for (memory, tracked, flows) in [
            (256 * GIB, None, 262_144),
            (256 * GIB, Some(4_000_000), 1_048_576),
            (8 * GIB, Some(1_048_576), 161_319),
            (2 * GIB, None, 40_329),
            (GIB, None, 8_192),
            (GIB / 4, None, 2_048),
            (256 * GIB, Some(0), 1_024),
        ] {
            assert_eq!(sized(memory, tracked), flows, "{memory} {tracked:?}");
        }
    }
}
