//! A frame in memory, and a small image placed by hand.

use std::{collections::BTreeSet, vec, vec::Vec};

/// A frame.
pub use crate::host::Frame as Bytes;
use crate::{
    decision::{WORDS, fast, full, path::Undecided},
    frame::{
        address::{Family, Ipv4, Ipv6},
        ethernet::{VlanTags, mac_word},
        origin::Origin,
        transport::IpProtocol,
    },
    host::{Remembered, Storage},
    image::{
        bucket::Bucketed,
        endpoint::{BOUND_INTERFACE, BOUND_LEASE, BOUND_MAC, BOUND_VLAN, PER_LINE, Peer, Record},
        fixed::{DIRECT_IPV4, DIRECT_IPV6, FIXED_LINES, HEADER, LENGTHS, TIMEOUTS},
        header::{Flags, Header, Modes, word},
        line::{Line, Missing, PER_LINE_16, PER_LINE_32, PER_LINE_64, Tables},
        lookup::Lookup,
        protected::{Direct, PROTECTED_BROADCAST, PROTECTED_GUEST, PROTECTED_UNICAST},
        region::Region,
        service::{GOVERNING, ICMP_CODES, LINES, LINES_PER_SERVICE, Rule, Service, ServiceKey},
    },
    layout::LAYOUT_VERSION,
    reason::Outcome,
    state::{
        flow::{Flow, Set, State},
        lease::{self, Lease},
        limit::Limit,
        served,
        sets::WAYS,
    },
};

/// A frame as XDP sees it.
pub fn bytes(bytes: &[u8]) -> Bytes<'_> {
    Bytes {
        bytes,
        ..Bytes::default()
    }
}

/// Protected.
pub const HOST: Ipv4 = Ipv4(0xc000_0211);
/// Protected.
pub const HOST6: Ipv6 = v6(0x11);
/// A broadcast address of the host's.
pub const BROADCAST: Ipv4 = Ipv4(0xc000_02ff);
/// Protected, that of a guest.
pub const GUEST: Ipv4 = Ipv4(0xc000_0230);
/// Endpoint 1, of role 1, bound to nothing.
pub const VIM: Ipv4 = Ipv4(0xc000_020a);
/// Endpoint 1, too.
pub const VIM6: Ipv6 = v6(0x10);
/// Endpoint 2, of role 1, bound to [`MAC`], [`VLAN`] and [`INTERFACES`].
pub const BOUND: Ipv4 = Ipv4(0xc000_0214);
/// In 198.51.100.0/24, endpoint 3, of role 2.
pub const OTHER: Ipv4 = Ipv4(0xc633_6402);
/// Endpoint 4, of role 1, which has to prove who it is.
pub const PROVER: Ipv4 = Ipv4(0xc000_0228);
/// Endpoint 4, too.
pub const PROVER6: Ipv6 = v6(0x40);
/// No endpoint's.
pub const STRANGER: Ipv4 = Ipv4(0xcb00_7101);

/// What [`BOUND`] is bound to.
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0xbb, 1];
/// What [`BOUND`] is bound to.
pub const VLAN: u16 = 42;
/// What [`BOUND`] is bound to.
pub const INTERFACES: [u32; 2] = [7, 9];

/// TCP port of service 1: rule 1 admits role 1.
pub const SSH: u16 = 22;
/// UDP port of service 2: rule 2 admits role 2, and audits.
pub const WATCHED: u16 = 161;
/// Protocol of service 3: rule 3 admits role 1.
pub const GRE: u8 = 47;
/// TCP and UDP port of service 4, which also is echo: the host may use it of role 1 under rule 4.
pub const NTP: u16 = 123;
/// UDP port at which endpoints of role 1 prove who they are, service 5, under rule 5.
pub const ENROLMENT: u16 = 7443;

/// A service whose rule has the number of the service, in mode audit or not.
pub const fn served(number: u16, audit: bool) -> Service {
    Service::new(number, Some(Rule::new(number, audit)), false)
}

/// Service 4.
pub const OUTBOUND: Service = Service::new(4, None, true);

/// The address of this `interface` in `2001:db8::/64`.
pub const fn v6(interface: u64) -> Ipv6 {
    Ipv6 {
        high: 0x2001_0db8_0000_0000,
        low: interface,
    }
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image(pub Vec<Line>);

impl Tables for Image {
    fn line(&self, index: u64) -> Result<&Line, Missing> {
        self.0.get(index as usize).ok_or(Missing)
    }
}

impl Lookup for Image {}

/// Ticks that every state of a flow lasts.
pub const LASTS: u32 = 100;

/// Flows, leases and limits in memory.
pub struct Memory {
    pub sets: Vec<Set>,
    pub leases: Vec<Lease>,
    pub limits: Vec<Limit>,
    pub served: Vec<served::Set>,
}

impl Storage for Memory {
    fn set(&self, index: u32) -> Option<&Set> {
        self.sets.get(index as usize)
    }

    fn sets(&self) -> u32 {
        self.sets.len() as u32
    }

    fn lease(&self, index: u32) -> Option<&Lease> {
        self.leases.get(index as usize)
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index as usize)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        self.served.get(index as usize)
    }
}

/// What is remembered, at a time of its own.
pub type Table = Remembered<Memory, Image>;

impl Table {
    /// All flows, in the order of their places.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        let sets = self.storage.sets.iter();
        sets.flat_map(|set| (0..WAYS).filter_map(|way| set.slot(way).read()))
    }

    /// The same with room for leases.
    #[must_use]
    pub fn enrolling(mut self) -> Self {
        self.storage.leases = (0..lease::ENTRIES).map(|_| Lease::default()).collect();
        self
    }

    /// Gives the endpoint `id` a lease at `address` from `origin` until the time `until`.
    pub fn give<A: Family>(&mut self, address: A, id: u32, origin: Origin, until: u64) {
        self.give_on(&[], address, id, origin, until);
    }

    /// The same, that holds on the interfaces `beside` the origin's, too.
    ///
    /// # Panics
    ///
    /// If there is no room for it.
    pub fn give_on<A: Family>(
        &mut self,
        beside: &[u32],
        address: A,
        id: u32,
        origin: Origin,
        until: u64,
    ) {
        let hash = lease::hash(address, SEED);
        let shared = (0..2 * WAYS).map(|step| lease::shared_index(hash, step));
        let mut indexes = [lease::own_index::<A>(id)].into_iter().chain(shared);
        let leases = &mut self.storage.leases;
        let free = indexes.find(|&at| leases[at as usize].is_empty());
        let free = free.expect("room for a lease");
        let words = Lease::words(address, id, origin, beside, until);
        leases[free as usize] = Lease::from_words(words);
    }

    /// The outcome of a frame that comes in. Where the fast path decides, it has to decide the same.
    pub fn takes(&self, frame: &Bytes<'_>) -> Outcome {
        let short = fast::inbound(frame, &self.tables, self);
        Self::same(short, full::inbound(frame, &self.tables, self))
    }

    /// The outcome of a frame that goes out.
    pub fn sends(&self, frame: &Bytes<'_>) -> Outcome {
        let short = fast::outbound(frame, &self.tables, self);
        Self::same(short, full::outbound(frame, &self.tables, self))
    }

    fn same(short: Result<Outcome, Undecided>, long: Outcome) -> Outcome {
        assert_eq!(short.unwrap_or(long), long);
        long
    }

    /// An empty table of `sets` sets, by `image`.
    #[must_use]
    pub fn new(sets: usize, image: Image) -> Self {
        Self {
            storage: Memory {
                sets: (0..sets).map(|_| Set::default()).collect(),
                leases: Vec::new(),
                served: (0..sets.div_ceil(2))
                    .map(|_| served::Set::default())
                    .collect(),
                limits: (0..WORDS).map(|_| Limit::default()).collect(),
            },
            tables: image,
            seed: SEED,
            now: 1000,
            clock: 1000,
            adopting: false,
            shown: false,
            groups_at_sockets: false,
            writable: true,
        }
    }
}

const SEED: u64 = 0x0123_4567_89ab_cdef;

/// The image of all that is described here; `audit` is the mode of what no rule governs.
pub fn image(audit: bool) -> Image {
    let modes = if audit {
        Modes::AUDIT.with(Modes::AUDIT_OUTBOUND)
    } else {
        Modes::default()
    };
    image_in(modes)
}

/// The same in these modes.
pub fn image_in(modes: Modes) -> Image {
    let mut image = Image(vec![Line::default(); FIXED_LINES as usize]);
    image.direct(
        HOST,
        DIRECT_IPV4,
        &[u64::from(HOST.0) << 32 | u64::from(PROTECTED_UNICAST)],
    );
    image.direct(HOST6, DIRECT_IPV6, &HOST6.to_words());
    // Taken by another address, so that these are looked up among all.
    image.direct(BROADCAST, DIRECT_IPV4, &[u64::MAX]);
    image.direct(GUEST, DIRECT_IPV4, &[u64::MAX]);
    image.serve(ServiceKey::port(0, SSH), served(1, false));
    image.serve(ServiceKey::port(1, WATCHED), served(2, true));
    image.serve(ServiceKey::protocol(IpProtocol(GRE)), served(3, false));
    for table in [0, 1] {
        image.serve(ServiceKey::port(table, NTP), OUTBOUND);
    }
    for code in 0..ICMP_CODES as u8 {
        for kind in [8, 0] {
            image.serve(ServiceKey::icmp::<Ipv4>(kind, code), OUTBOUND);
        }
        for kind in [128, 129] {
            image.serve(ServiceKey::icmp::<Ipv6>(kind, code), OUTBOUND);
        }
    }
    for state in State::ALL {
        let code = usize::from(state.code());
        image.0[TIMEOUTS as usize][code / 2] |= u64::from(LASTS) << (32 * (code % 2));
    }

    let enrolment = Service::enrolment(5, Rule::new(5, false), false);
    image.serve(ServiceKey::port(1, ENROLMENT), enrolment);

    let rules = image.append(6 * LINES_PER_SERVICE);
    for (service, direction, role, rule) in [
        (1, 0, 1, Rule::new(1, false)),
        (2, 0, 2, Rule::new(2, true)),
        (3, 0, 1, Rule::new(3, false)),
        (4, 1, 1, Rule::new(4, false)),
        (5, 0, 1, Rule::new(5, false)),
    ] {
        let first = rules + service * LINES_PER_SERVICE + direction * LINES;
        image.set16(first, role, rule.0);
        if direction == 1 {
            image.set16(first, u32::from(GOVERNING), rule.0);
        }
    }
    let records = image.append(8 / PER_LINE);
    let interfaces = image.append(1);
    image.0[interfaces as usize][0] = u64::from(INTERFACES[1]) << 32 | u64::from(INTERFACES[0]);
    let bound = Record::new(
        BOUND_MAC | BOUND_VLAN | BOUND_INTERFACE,
        mac_word(MAC),
        VlanTags::single(VLAN).0,
        interfaces,
    );
    let prover = Record::new(BOUND_LEASE, 0, 0, 0);
    for (id, record) in [(2, bound), (4, prover)] {
        let line = &mut image.0[records as usize + id / PER_LINE as usize];
        let at = 2 * (id % PER_LINE as usize);
        line[at..at + 2].copy_from_slice(&record.to_words());
    }

    let hosts = [
        (HOST, 32, PROTECTED_UNICAST),
        (BROADCAST, 32, PROTECTED_BROADCAST),
        (GUEST, 32, PROTECTED_GUEST),
    ];
    let peers = [
        (VIM, 32, Peer::new(1, 1, false).0),
        (BOUND, 32, Peer::new(2, 1, true).0),
        (OTHER.masked(24), 24, Peer::new(3, 2, false).0),
        (PROVER, 32, Peer::new(4, 1, true).0),
    ];
    let regions = [
        image.region(&hosts),
        image.region(&[(HOST6, 128, PROTECTED_UNICAST)]),
        image.region(&peers),
        image.region(&[
            (VIM6, 128, Peer::new(1, 1, false).0),
            (PROVER6, 128, Peer::new(4, 1, true).0),
        ]),
    ];
    let line = &mut image.0[HEADER as usize];
    line[word::FLAGS] = Flags::new(LAYOUT_VERSION, modes, [2, 1], [32, 128]).0;
    line[word::PROTECTED..word::RECORDS].copy_from_slice(&regions);
    line[word::RECORDS] = u64::from(rules) << 32 | u64::from(records);
    line[word::ROLES] = 0b110;
    image.0[LENGTHS as usize][0] = 24 << 8 | 32;
    image.0[LENGTHS as usize + 1][0] = 128;
    image
}

impl Image {
    /// The same with other IPv4 endpoints: prefixes, their lengths and numbers.
    pub fn with_endpoints(mut self, peers: &[(Ipv4, u8, u32)]) -> Self {
        let region = self.region(peers);
        self.0[HEADER as usize][word::ENDPOINTS] = region;
        let lengths: BTreeSet<u8> = peers.iter().map(|&(_, length, _)| length).collect();
        self.with_lengths(lengths)
    }

    /// The same with these lengths of IPv4 prefixes.
    pub fn with_lengths(mut self, lengths: BTreeSet<u8>) -> Self {
        let modes = Header::of(&self).expect("a header").flags().modes();
        let counts = [lengths.len() as u8, 1];
        let longest = lengths.last().copied().unwrap_or(0);
        let flags = Flags::new(LAYOUT_VERSION, modes, counts, [longest, 128]);
        self.0[HEADER as usize][word::FLAGS] = flags.0;
        let line = &mut self.0[LENGTHS as usize];
        *line = Line::default();
        for (at, length) in lengths.into_iter().rev().enumerate() {
            line[at / 8] |= u64::from(length) << (8 * (at % 8));
        }
        self
    }

    pub fn append(&mut self, count: u32) -> u32 {
        let first = self.0.len();
        self.0.resize(first + count as usize, Line::default());
        first as u32
    }

    /// Lists `service` at `place`.
    pub fn serve(&mut self, place: ServiceKey, service: Service) {
        let index = place.word();
        let line = &mut self.0[(index / PER_LINE_32) as usize];
        let word = &mut line[(index / 2 % PER_LINE_64) as usize];
        let shift = 32 * (index % 2);
        *word = *word & !(0xffff_ffff << shift) | u64::from(service.0) << shift;
    }

    pub fn set16(&mut self, base: u32, index: u32, value: u16) {
        self.0[(base + index / PER_LINE_16) as usize][(index / 4 % 8) as usize] |=
            u64::from(value) << (16 * (index % 4));
    }

    fn direct<A: Direct>(&mut self, address: A, region: u32, words: &[u64]) {
        let first = address.direct_entry() as usize * words.len();
        let line = &mut self.0[region as usize + first / 8];
        line[first % 8..first % 8 + words.len()].copy_from_slice(words);
    }

    /// Appends a region of one bucket and returns the header's word for it.
    fn region<A: Bucketed>(&mut self, prefixes: &[(A, u8, u32)]) -> u64 {
        let base = self.append(1);
        let bucket = &mut self.0[base as usize];
        let mut taken = vec![false; A::PER_BUCKET];
        for &(address, length, value) in prefixes {
            let preferred = A::preferred(address.hash(length));
            let at = if taken[preferred] {
                A::displace(bucket, preferred);
                taken.iter().position(|taken| !taken).expect("a free entry")
            } else {
                preferred
            };
            taken[at] = true;
            address.put(length, value, bucket, at);
        }
        Region { base, mask: 0 }.to_word()
    }
}

/// An Ethernet frame from `source_mac` with this type and payload.
pub fn ethernet(source_mac: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0xaa, 0xbb, 0x17];
    frame.extend(source_mac);
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A whole IPv4 packet without options.
pub fn ipv4(source: Ipv4, destination: Ipv4, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(source.0.to_be_bytes());
    packet.extend(destination.0.to_be_bytes());
    packet.extend(payload);
    packet
}

/// An IPv6 packet whose payload starts with the header `next`.
pub fn ipv6(source: Ipv6, destination: Ipv6, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for address in [source, destination] {
        packet.extend(address.high.to_be_bytes());
        packet.extend(address.low.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

/// A TCP header.
pub fn tcp(destination: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![0xc0, 0];
    header.extend(destination.to_be_bytes());
    header.resize(20, 0);
    header[12] = 0x50;
    header[13] = flags;
    header
}

/// A UDP header.
pub fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = source.to_be_bytes().to_vec();
    header.extend(destination.to_be_bytes());
    header.extend([0, 8, 0, 0]);
    header
}

/// An ICMP or ICMPv6 header.
pub fn icmp(kind: u8) -> Vec<u8> {
    vec![kind, 0, 0, 0, 0, 0, 0, 0]
}
