//! What is remembered of connections, leases and limits, as every packet finds it in the maps.

use verdict::{
    frame::address::{Ipv4, Ipv6},
    layout::FlowControl,
    state::{
        flow::{Flows, Key, Set, Tag, displace, table},
        lease::{self, Lease, Leases},
        limit::Limit,
        note, served, sessions,
        sets::NOWHERE,
    },
};

use crate::{
    frame::SocketPacket,
    maps::{FLOW_CONTROL, FLOWS, Image, LEASES, LIMITS, SERVED},
    settings,
};

/// The table of flows, as every packet finds it.
pub struct OpenFlows<'a> {
    /// The image that tells how long flows last; `None` where nobody asks.
    image: Option<&'a Image>,
    /// The packet at a socket that is judged.
    at_socket: Option<SocketPacket>,
}

impl<'a> OpenFlows<'a> {
    /// Where nobody asks how long flows last.
    const LOOKED_UP: Self = Self {
        image: None,
        at_socket: None,
    };

    /// The table for a packet that is judged by `image`.
    #[inline(always)]
    pub const fn beside(image: &'a Image) -> Self {
        Self {
            image: Some(image),
            at_socket: None,
        }
    }

    /// The table for a packet at a socket, which is judged by `image`.
    #[inline(always)]
    pub const fn of(packet: SocketPacket, image: &'a Image) -> Self {
        Self {
            image: Some(image),
            at_socket: Some(packet),
        }
    }

    #[inline(always)]
    fn control() -> FlowControl {
        FLOW_CONTROL.get(0).copied().unwrap_or_default()
    }
}

impl Leases for OpenFlows<'_> {
    #[inline(always)]
    fn lease(&self, index: u32) -> Option<&Lease> {
        LEASES.get(index)
    }

    #[inline(always)]
    fn clock(&self) -> u64 {
        settings::lease_clock()
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        settings::flow_seed()
    }

    #[inline(always)]
    fn search_lease_ipv4(&self, address: Ipv4) -> u32 {
        search_lease_ipv4(address.0)
    }

    #[inline(always)]
    fn search_lease_ipv6(&self, address: Ipv6) -> u32 {
        search_lease_ipv6(address.high, address.low)
    }
}

/// [`lease::search`] for an IPv4 address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_lease_ipv4(address: u32) -> u32 {
    lease::search(&OpenFlows::LOOKED_UP, Ipv4(address))
}

/// [`lease::search`] for an IPv6 address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_lease_ipv6(high: u64, low: u64) -> u32 {
    lease::search(&OpenFlows::LOOKED_UP, Ipv6 { high, low })
}

impl Flows for OpenFlows<'_> {
    #[inline(always)]
    fn limit(&self, index: u32) -> Option<&Limit> {
        LIMITS.get(index)
    }

    #[inline(always)]
    fn set(&self, index: u32) -> Option<&Set> {
        FLOWS.get(index)
    }

    #[inline(always)]
    fn mask(&self) -> u32 {
        settings::flow_sets_mask()
    }

    #[inline(always)]
    fn now(&self) -> u32 {
        settings::tick()
    }

    #[inline(always)]
    fn adopting(&self) -> bool {
        settings::tick() < Self::control().adopting_until
    }

    #[inline(always)]
    fn adopts_socket(&self) -> bool {
        false
    }

    #[inline(always)]
    fn writable(&self) -> bool {
        !settings::observe()
    }

    #[inline(always)]
    fn shown(&self, [high, low]: [u64; 2], port: u32) -> u64 {
        shown_enrolment(high, low, port)
    }

    #[inline(always)]
    fn enrolling(&self, hash: u64) -> u32 {
        search_enrolment(hash)
    }

    #[inline(always)]
    fn search(&self, key: &Key) -> u32 {
        let [a, b, c, d, e] = key.to_words();
        search_flow(a, b, c, d, e)
    }

    #[inline(always)]
    fn free(&self, hash: u64) -> u32 {
        match self.image {
            Some(image) => free_entry(hash, image.slot()),
            None => NOWHERE,
        }
    }

    #[inline(always)]
    fn crowd(&self, hash: u64) -> u64 {
        crowd_of_flow(hash)
    }

    #[inline(always)]
    fn displace(&self, hash: u64, new: Tag, crowd: u64) -> u32 {
        displaced_flow(hash, new.0, crowd)
    }

    #[inline(always)]
    fn groups_at_sockets(&self) -> bool {
        Self::control().groups_at_sockets != 0
    }

    #[inline(always)]
    fn on_wire(&self) -> Option<Key> {
        self.at_socket?.on_wire()
    }

    #[inline(always)]
    fn served(&self, index: u32) -> Option<&served::Set> {
        SERVED.get(index)
    }

    #[inline(always)]
    fn remember(&self, key: &Key) {
        let [a, b, c, d, e] = key.to_words();
        remember_served(a, b, c, d, e);
    }

    #[inline(always)]
    fn served_idle(&self, key: &Key) -> u32 {
        let [a, b, c, d, e] = key.to_words();
        served_idle(a, b, c, d, e)
    }

    #[inline(always)]
    fn is_noted(&self, index: u32, hash: u64, lasts: u32) -> bool {
        is_noted(index, hash, lasts) != 0
    }
}

/// [`served::remember`] for the key of these words; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn remember_served(a: u64, b: u64, c: u64, d: u64, e: u64) -> u32 {
    served::remember(&OpenFlows::LOOKED_UP, &Key::from_words([a, b, c, d, e]));
    0
}

/// [`served::idle`] for the key of these words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn served_idle(a: u64, b: u64, c: u64, d: u64, e: u64) -> u32 {
    served::idle(&OpenFlows::LOOKED_UP, &Key::from_words([a, b, c, d, e]))
}

/// [`note::is_noted`]; not 0 if it is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_noted(index: u32, hash: u64, lasts: u32) -> u32 {
    note::is_noted(&OpenFlows::LOOKED_UP, index, hash, lasts).into()
}

/// [`sessions::search`] for the session with this `hash`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_enrolment(hash: u64) -> u32 {
    sessions::search(&OpenFlows::LOOKED_UP, hash)
}

/// [`sessions::shown`] for the address of these words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn shown_enrolment(high: u64, low: u64, port: u32) -> u64 {
    sessions::shown(&OpenFlows::LOOKED_UP, [high, low], port)
}

/// [`table::search`] for the key of these words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_flow(a: u64, b: u64, c: u64, d: u64, e: u64) -> u32 {
    table::search(&OpenFlows::LOOKED_UP, &Key::from_words([a, b, c, d, e]))
}

/// [`table::free`] for a flow whose key has this `hash`, by the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn free_entry(hash: u64, slot: u32) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => table::free(&OpenFlows::LOOKED_UP, &image, hash),
        None => NOWHERE,
    }
}

/// [`displace::crowd`] for a flow whose key has this `hash`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn crowd_of_flow(hash: u64) -> u64 {
    displace::crowd(&OpenFlows::LOOKED_UP, hash)
}

/// [`displace::displace`] for a flow with this `tag`, whose key has this `hash`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn displaced_flow(hash: u64, tag: u64, crowd: u64) -> u32 {
    displace::displace(&OpenFlows::LOOKED_UP, hash, Tag(tag), crowd)
}
