//! Compiles protected addresses and endpoints' prefixes into the image's lookup tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use verdict::{
    frame::address::{Family, Ipv4, Ipv6, family},
    image::{
        bucket::Bucketed,
        endpoint::Peer,
        fixed::{ANY_MAC, DIRECT_IPV4, DIRECT_IPV6, LENGTHS, MACS},
        header::{Flags, Modes, word},
        line::PER_LINE_64,
        protected::{Direct, PROTECTED_BROADCAST, PROTECTED_GUEST, PROTECTED_UNICAST},
        region::Region,
        segments::{self, SETS},
    },
    layout::LAYOUT_VERSION,
};

use super::{
    CompileError, Facts, Numbers,
    buckets::{self, Entry, Placed},
    lines::Lines,
    prefixes::{self, Expanded},
    records,
    roles::Roles,
};
use crate::policy::{Direction, Mode, Outbound, Policy, Protect, ReferencePoint};

/// If entries do not fit, up to this many times the usual number of buckets is tried.
const MAX_GROWTH: u32 = 16;

/// Every protected address with its value in the region.
pub type Protected = BTreeMap<IpAddr, u32>;

/// Writes the direct entries, the four regions, and their fields in the header.
pub fn write(
    lines: &mut Lines,
    policy: &Policy,
    protected: &Protected,
    roles: &Roles<'_>,
    numbers: &Numbers,
    knows_segments: bool,
) -> Result<(), CompileError> {
    for (&address, &value) in protected {
        direct(lines, address, value);
    }
    let (hosts4, hosts6) = hosts(protected);
    let (peers4, peers6) = peers(policy, roles, numbers);
    let peers4 = prefixes::expand(peers4).ok_or(CompileError::TooManyLengths)?;
    let peers6 = prefixes::expand(peers6).ok_or(CompileError::TooManyLengths)?;
    regions(lines, &hosts4, &hosts6, &peers4.entries, &peers6.entries)?;
    let longest = [&peers4.lengths, &peers6.lengths].map(|l| l.first().copied().unwrap_or(0));
    let counts = [
        lengths::<Ipv4>(lines, &peers4),
        lengths::<Ipv6>(lines, &peers6),
    ];
    let mut modes = modes(policy);
    if knows_segments {
        modes = modes.with(Modes::SEGMENTS);
    }
    let flags = Flags::new(LAYOUT_VERSION, modes, counts, longest);
    lines.header()[word::FLAGS] = flags.0;
    Ok(())
}

/// The modes for packets that no reference point governs.
fn modes(policy: &Policy) -> Modes {
    let mut modes = Modes::default();
    if policy.mode == Mode::Audit {
        modes = modes.with(Modes::AUDIT);
    }
    if policy.protect.contains(&Protect::InterfaceAddresses) {
        modes = modes.with(Modes::EVERY_ADDRESS);
    }
    match policy.outbound {
        Outbound::Enforce => {}
        Outbound::Audit => modes = modes.with(Modes::AUDIT_OUTBOUND),
        Outbound::Any => modes = modes.with(Modes::ANY_OUTBOUND),
    }
    let audited = |point: &ReferencePoint| {
        point.direction == Direction::Outbound && point.mode == Mode::Audit
    };
    if policy.outbound != Outbound::Enforce || policy.reference_points.iter().any(audited) {
        modes = modes.with(Modes::UNRULED_FLOWS);
    }
    modes
}

/// Writes the MAC addresses of the host, or that any may be one if there are too many.
pub fn macs(lines: &mut Lines, facts: &Facts) {
    let line = lines.line(MACS);
    if facts.macs.len() > line.len() {
        line[0] = ANY_MAC;
        return;
    }
    for (word, &mac) in line.iter_mut().zip(&facts.macs) {
        *word = mac;
    }
}

/// Writes which VLANs carry the host's traffic, where that is known; whether it is anywhere.
pub fn segments(lines: &mut Lines, facts: &Facts) -> bool {
    let mut taken = BTreeSet::new();
    for (&ifindex, ids) in &facts.segments {
        // Of two interfaces with one place, one has it.
        if !taken.insert(ifindex % SETS) {
            continue;
        }
        lines.set32(segments::owner(ifindex), ifindex);
        for &id in ids {
            let (word, bit) = segments::bit(ifindex, id);
            lines.set32(word, 1 << bit);
        }
    }
    !taken.is_empty()
}

/// Writes a protected address to its direct entry, unless that is taken.
fn direct(lines: &mut Lines, address: IpAddr, value: u32) {
    let (entry, first, words) = match address {
        IpAddr::V4(address) => {
            let word = u64::from(address.to_bits()) << 32 | u64::from(value);
            (ipv4(address).direct_entry(), DIRECT_IPV4, vec![word])
        }
        IpAddr::V6(address) => {
            let address = ipv6(address.to_bits());
            (
                address.direct_entry(),
                DIRECT_IPV6,
                vec![address.high, address.low],
            )
        }
    };
    let at = entry as usize * words.len();
    let per_line = PER_LINE_64 as usize;
    let line = lines.line(first + (at / per_line) as u32);
    let entry = &mut line[at % per_line..at % per_line + words.len()];
    if entry.iter().all(|&word| word == 0) {
        entry.copy_from_slice(&words);
    }
}

/// The addresses that `policy` protects on a host with `facts`, but for those of the loopback interface:
/// nothing may come to these.
pub fn protected(policy: &Policy, facts: &Facts) -> Result<Protected, CompileError> {
    let mut protected = BTreeMap::new();
    for protect in &policy.protect {
        match protect {
            Protect::Address(address) => {
                let own = facts.addresses.contains(address);
                let value = if own {
                    PROTECTED_UNICAST
                } else {
                    PROTECTED_GUEST
                };
                protected.insert(*address, value);
            }
            Protect::InterfaceAddresses => {
                let addresses = facts.addresses.iter();
                protected.extend(addresses.map(|&address| (address, PROTECTED_UNICAST)));
            }
        }
    }
    // A host that is about to get its first address has those of the loopback interface already.
    if protected.is_empty() {
        return Err(CompileError::NothingProtected);
    }
    protected.retain(|address: &IpAddr, _| !address.is_loopback());
    let broadcasts = facts.broadcasts.iter();
    for broadcast in broadcasts.filter(|address| !address.is_loopback()) {
        protected
            .entry(IpAddr::V4(*broadcast))
            .or_insert(PROTECTED_BROADCAST);
    }
    Ok(protected)
}

type Entries<A> = Vec<Entry<A>>;

fn hosts(protected: &Protected) -> (Entries<Ipv4>, Entries<Ipv6>) {
    let (mut hosts4, mut hosts6) = (Vec::new(), Vec::new());
    for (&address, &value) in protected {
        match address {
            IpAddr::V4(address) => hosts4.push(Entry {
                address: ipv4(address),
                length: Ipv4::BITS,
                value,
            }),
            IpAddr::V6(address) => hosts6.push(Entry {
                address: ipv6(address.to_bits()),
                length: Ipv6::BITS,
                value,
            }),
        }
    }
    (hosts4, hosts6)
}

fn peers(policy: &Policy, roles: &Roles<'_>, numbers: &Numbers) -> (Entries<Ipv4>, Entries<Ipv6>) {
    let (mut peers4, mut peers6) = (Vec::new(), Vec::new());
    for (name, endpoint) in &policy.endpoints {
        let role = roles.number(&endpoint.roles);
        let value = Peer::new(numbers.endpoints[name], role, records::is_bound(endpoint)).0;
        for prefix in &endpoint.addresses {
            let length = prefix.prefix_len();
            match prefix {
                IpNet::V4(prefix) => peers4.push(Entry {
                    address: ipv4(prefix.network()),
                    length,
                    value,
                }),
                IpNet::V6(prefix) => peers6.push(Entry {
                    address: ipv6(prefix.network().to_bits()),
                    length,
                    value,
                }),
            }
        }
    }
    (peers4, peers6)
}

/// Places all regions.
fn regions(
    lines: &mut Lines,
    hosts4: &[Entry<Ipv4>],
    hosts6: &[Entry<Ipv6>],
    peers4: &[Entry<Ipv4>],
    peers6: &[Entry<Ipv6>],
) -> Result<(), CompileError> {
    let too_many = || CompileError::TooManyAddresses {
        entries: hosts4.len() + hosts6.len() + peers4.len() + peers6.len(),
    };
    let regions = [
        place(hosts4).ok_or_else(too_many)?,
        place(hosts6).ok_or_else(too_many)?,
        place(peers4).ok_or_else(too_many)?,
        place(peers6).ok_or_else(too_many)?,
    ];
    for (word, region) in [
        word::PROTECTED,
        word::PROTECTED + 1,
        word::ENDPOINTS,
        word::ENDPOINTS + 1,
    ]
    .into_iter()
    .zip(regions)
    {
        let mask = region.buckets.len() as u32 - 1;
        let base = lines.extend(region.buckets);
        lines.extend(region.summary);
        lines.header()[word] = Region { base, mask }.to_word();
    }
    Ok(())
}

/// Places `entries` into as few buckets as possible; `None` if they do not fit.
fn place<A: Bucketed>(entries: &[Entry<A>]) -> Option<Placed> {
    let usual = buckets::buckets_for::<A>(entries.len());
    let sizes = std::iter::successors(Some(1), |growth| Some(growth * 2));
    sizes
        .take_while(|&growth| growth <= MAX_GROWTH)
        .map(|growth| usual.saturating_mul(growth).min(Region::MAX_BUCKETS))
        .find_map(|buckets| buckets::place(entries, buckets))
}

/// Writes the prefix lengths that a lookup probes, and returns how many there are.
fn lengths<A: Family>(lines: &mut Lines, peers: &Expanded<A>) -> u8 {
    let line = lines.line(LENGTHS + family::<A>() as u32);
    for (at, &length) in peers.lengths.iter().enumerate() {
        line[at / 8] |= u64::from(length) << (8 * (at % 8));
    }
    peers.lengths.len() as u8
}

fn ipv4(address: Ipv4Addr) -> Ipv4 {
    Ipv4(address.to_bits())
}

/// The IPv6 address with these bits, the first bit of the address highest.
pub(crate) const fn ipv6(bits: u128) -> Ipv6 {
    Ipv6 {
        high: (bits >> 64) as u64,
        low: bits as u64,
    }
}
