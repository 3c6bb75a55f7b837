//! Exemptions in the kernel: who gets in whatever the policy says.

use std::{net::IpAddr, time::Duration};

use aya::maps::{Array, MapData};
use verdict::{
    frame::ethernet::mac_word,
    state::exemption::{EXEMPTIONS, Exemption, Exemptions, IPV4, IPV6},
};

use super::{
    Datapath, LoadError, Pins, PublishError,
    clock::LeaseClock,
    error::map_failed,
    flow_control, flows,
    interface::Interfaces,
    maps::{ExemptionsValue, name},
    pinned::array,
};
use crate::{image::ipv6, policy::BreakGlass};

/// The exemptions as they were at one time.
#[derive(Clone, Debug, Default)]
pub struct Exempted {
    all: [Exemption; EXEMPTIONS],
    clock: u64,
}

impl Exemptions for Exempted {
    fn exemptions(&self) -> Option<&[Exemption; EXEMPTIONS]> {
        Some(&self.all)
    }

    fn clock(&self) -> u64 {
        self.clock
    }
}

impl Exempted {
    /// Reads those pinned under `pins`.
    ///
    /// # Errors
    ///
    /// Maps that cannot be read.
    pub fn read(pins: &Pins) -> Result<Self, PublishError> {
        Ok(Self {
            all: read(pins)?,
            clock: clock(pins)?.at(flows::monotonic()?),
        })
    }

    /// Time until the exemption that ends at `until` is over; `None` if none that holds ends then.
    #[must_use]
    pub fn left(&self, until: u64, pins: &Pins) -> Option<Duration> {
        let holds = self.all.iter().any(|it| it.until == until) && until > self.clock;
        let steps = until.saturating_sub(self.clock);
        holds.then(|| clock(pins).ok().map(|clock| clock.duration(steps)))?
    }
}

impl Datapath {
    /// Has exactly the exemptions `wanted` hold, of which there are at most [`EXEMPTIONS`]. Those that do
    /// already go on without a break.
    ///
    /// # Errors
    ///
    /// Maps that cannot be read or written.
    pub fn exempt(&mut self, wanted: &[Exemption]) -> Result<(), PublishError> {
        let before = read(&self.pins)?;
        let after = placed(&before, wanted);
        let exempting = (!wanted.is_empty()).into();
        if after != before {
            // What changes holds for nobody while it does.
            let mut between = after;
            for (place, before) in between.iter_mut().zip(before) {
                if *place != before {
                    place.until = 0;
                }
            }
            let mut map = map(&self.pins)?;
            for all in [between, after] {
                map.set(0, ExemptionsValue(all), 0)
                    .map_err(map_failed(name::EXEMPTED))?;
            }
        }
        if self.control()?.exempting != exempting {
            self.write(|control| control.exempting = exempting)?;
        }
        Ok(())
    }

    /// When an exemption ends that holds for `term` from now on, by the clock of leases.
    ///
    /// # Errors
    ///
    /// A clock that cannot be read.
    pub fn exempt_until(&self, term: Duration) -> Result<u64, PublishError> {
        self.time_in(term)
    }
}

/// The exemptions of `access`; none if its interface is not there.
#[must_use]
pub fn exemptions(access: &BreakGlass, until: u64, interfaces: &Interfaces) -> Vec<Exemption> {
    let arrivals = match &access.interface {
        None => vec![0],
        Some(name) => interfaces.arrivals(name).unwrap_or_default(),
    };
    let mut all = Vec::new();
    for net in &access.addresses {
        let (family, address, mask) = match (net.addr(), net.netmask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => (
                IPV4,
                [0, address.to_bits().into()],
                [u64::MAX, mask.to_bits().into()],
            ),
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                let (address, mask) = (ipv6(address.to_bits()), ipv6(mask.to_bits()));
                (IPV6, [address.high, address.low], [mask.high, mask.low])
            }
            _ => continue,
        };
        for &(protocol, first, last) in &access.ports {
            all.extend(arrivals.iter().map(|&ifindex| Exemption {
                address,
                mask,
                mac: access.mac.map_or(0, mac_word),
                until,
                ifindex,
                family,
                protocol: protocol.into(),
                first,
                last,
            }));
        }
    }
    all
}

/// The places of `wanted`: where they were before, if they were.
fn placed(before: &[Exemption; EXEMPTIONS], wanted: &[Exemption]) -> [Exemption; EXEMPTIONS] {
    let mut after = [Exemption::default(); EXEMPTIONS];
    for (place, before) in after.iter_mut().zip(before) {
        if wanted.contains(before) {
            *place = *before;
        }
    }
    for new in wanted {
        if !after.contains(new)
            && let Some(place) = after.iter_mut().find(|place| place.until == 0)
        {
            *place = *new;
        }
    }
    after
}

fn read(pins: &Pins) -> Result<[Exemption; EXEMPTIONS], LoadError> {
    let value = map(pins)?.get(&0, 0);
    Ok(value.map_err(map_failed(name::EXEMPTED))?.0)
}

fn map(pins: &Pins) -> Result<Array<MapData, ExemptionsValue>, LoadError> {
    array(pins, name::EXEMPTED)
}

fn clock(pins: &Pins) -> Result<LeaseClock, LoadError> {
    Ok(LeaseClock::of(&flow_control::read(pins)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(until: u64) -> Exemption {
        Exemption {
            until,
            ..Exemption::default()
        }
    }

    #[test]
    fn an_exemption_that_goes_on_keeps_its_place() {
        let first = placed(&[Exemption::default(); EXEMPTIONS], &[ending(1), ending(2)]);
        assert_eq!((first[0].until, first[1].until, first[2].until), (1, 2, 0));
        let second = placed(&first, &[ending(3), ending(2)]);
        assert_eq!((second[0].until, second[1].until), (3, 2));
        assert_eq!(placed(&second, &[]), [Exemption::default(); EXEMPTIONS]);
    }
}
