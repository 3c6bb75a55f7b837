//! The table of leases, which the agent writes and the programs ask.

use std::net::{IpAddr, SocketAddr};

use aya::maps::{Array, MapData};
use verdict::{
    address::{Family, Ipv4},
    flow::{
        Entry, Flows as _, Key,
        key::ENROLMENT,
        table::{self, WAYS},
    },
    lease::{self, Lease, Origin},
    transport::IpProtocol,
};

use super::{
    Pins,
    flows::{self, FlowError, Snapshot, array},
    load::{LoadError, map_failed},
    maps::{LineValue, name},
};
use crate::image::{Image, ipv6};

/// The pinned table of leases, open for writing. There is one writer.
pub struct LeaseTable {
    pins: Pins,
    map: Array<MapData, LineValue>,
    seed: u64,
}

impl LeaseTable {
    /// Opens the table pinned under `pins`.
    pub fn open(pins: &Pins) -> Result<Self, LoadError> {
        Ok(Self {
            pins: pins.clone(),
            map: array(pins, name::LEASES)?,
            seed: flows::control(pins)?.seed,
        })
    }

    /// Gives the endpoint `id` a lease at `address`, or renews it. `false` if there is no room.
    pub fn give(
        &mut self,
        address: IpAddr,
        id: u32,
        origin: Origin,
        until: u32,
    ) -> Result<bool, LoadError> {
        let words = words(address, id, origin, until);
        let mut free = None;
        for index in self.places(address) {
            let there = self.get(index)?;
            if same_address(&there.0, &words) {
                // Emptied first where it changes hands, so that no program sees half of each.
                if there.0[3..] != words[3..] || there.0[2] as u32 != id {
                    self.set(index, LineValue::default())?;
                }
                self.set(index, LineValue(words))?;
                return Ok(true);
            }
            if free.is_none() && there.0[3] == 0 {
                free = Some(index);
            }
        }
        let Some(index) = free else {
            return Ok(false);
        };
        self.set(index, LineValue(words))?;
        Ok(true)
    }

    /// Ends the lease at `address`, if there is one.
    pub fn end(&mut self, address: IpAddr) -> Result<(), LoadError> {
        let words = words(address, 0, NO_ORIGIN, 0);
        for index in self.places(address) {
            if same_address(&self.get(index)?.0, &words) {
                self.set(index, LineValue::default())?;
            }
        }
        Ok(())
    }

    /// Ends every lease that `keep` does not, by endpoint and address.
    pub fn retain(&mut self, keep: impl Fn(u32, IpAddr) -> bool) -> Result<(), LoadError> {
        for index in 0..self.map.len() {
            let words = self.get(index)?.0;
            if words[3] == 0 {
                continue;
            }
            let lease = Lease::from_words(words);
            if !keep(lease.endpoint(), address_of(&words)) {
                self.set(index, LineValue::default())?;
            }
        }
        Ok(())
    }

    /// Where the datagrams between these two ports come from, as the programs saw it; `None` if they
    /// saw none.
    pub fn origin(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Option<Origin>, FlowError> {
        let ports = u32::from(local.port()) << 16 | u32::from(remote.port());
        let key = match (local.ip().to_canonical(), remote.ip().to_canonical()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                key(Ipv4(local.to_bits()), Ipv4(remote.to_bits()), ports)
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                key(ipv6(local.to_bits()), ipv6(remote.to_bits()), ports)
            }
            _ => return Ok(None),
        };
        let snapshot = Snapshot::open(&self.pins)?;
        let nothing = Image::empty();
        let flows = snapshot.by(&nothing);
        let found = flows.entry(table::search(&flows, &key));
        Ok(found.map(Entry::origin))
    }

    fn places(&self, address: IpAddr) -> impl Iterator<Item = u32> + use<> {
        let hash = match address.to_canonical() {
            IpAddr::V4(v4) => lease::hash(Ipv4(v4.to_bits()), self.seed),
            IpAddr::V6(v6) => lease::hash(ipv6(v6.to_bits()), self.seed),
        };
        (0..2 * WAYS).map(move |step| lease::lease_place(hash, step))
    }

    fn get(&self, index: u32) -> Result<LineValue, LoadError> {
        self.map.get(&index, 0).map_err(map_failed(name::LEASES))
    }

    fn set(&mut self, index: u32, value: LineValue) -> Result<(), LoadError> {
        self.map
            .set(index, value, 0)
            .map_err(map_failed(name::LEASES))
    }
}

const NO_ORIGIN: Origin = Origin::new(0, 0, 0);

/// The key of the proof between these two addresses.
fn key<A: Family>(local: A, remote: A, ports: u32) -> Key {
    Key::new(ENROLMENT, local, remote, IpProtocol::UDP.0, ports)
}

/// [`Lease::words`] for an address of either family.
fn words(address: IpAddr, id: u32, origin: Origin, until: u32) -> [u64; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => Lease::words(Ipv4(v4.to_bits()), id, origin, until),
        IpAddr::V6(v6) => Lease::words(ipv6(v6.to_bits()), id, origin, until),
    }
}

/// Whether both are leases at one address.
fn same_address(a: &[u64; 8], b: &[u64; 8]) -> bool {
    const FAMILY: u64 = !((1 << 48) - 1);
    a[..2] == b[..2] && a[3] & FAMILY == b[3] & FAMILY
}

fn address_of(words: &[u64; 8]) -> IpAddr {
    let bits = u128::from(words[0]) << 64 | u128::from(words[1]);
    let as_v4 = Lease::words(Ipv4(bits as u32), 0, NO_ORIGIN, 0);
    if same_address(&as_v4, words) {
        std::net::Ipv4Addr::from_bits(bits as u32).into()
    } else {
        std::net::Ipv6Addr::from_bits(bits).into()
    }
}
