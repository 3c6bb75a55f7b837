//! Where rules apply: the places that reference points are limited to.

use std::collections::BTreeMap;

use verdict::{
    frame::address::{Family, Ipv4},
    image::place::{ADDRESSES, INTERFACES, LINES},
};

use super::{CompileError, Facts, addresses::ipv6, lines::Lines};
use crate::policy::{Place, Policy};

/// Numbers of places, from 1.
pub struct Places<'a>(BTreeMap<&'a [Place], u16>);

impl<'a> Places<'a> {
    /// Numbers the places of `policy`.
    pub fn of(policy: &'a Policy) -> Self {
        let mut numbers = BTreeMap::new();
        for point in &policy.reference_points {
            let next = numbers.len() as u16 + 1;
            if !point.at.is_empty() {
                numbers.entry(&*point.at).or_insert(next);
            }
        }
        Self(numbers)
    }

    /// The number of the place of a reference point that applies `at` these; 0 for everywhere.
    pub fn number(&self, at: &[Place]) -> u16 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Writes all places, and returns the first line.
    pub fn write(&self, lines: &mut Lines, facts: &Facts) -> Result<u32, CompileError> {
        let base = lines.append((self.0.len() + 1) * LINES as usize);
        for (at, &number) in &self.0 {
            let first = base + u32::from(number) * LINES;
            let mut addresses = 0;
            let mut interfaces: Vec<u32> = Vec::new();
            for place in *at {
                match place {
                    Place::Address(address) => {
                        let words = match address {
                            std::net::IpAddr::V4(address) => Ipv4(address.to_bits()).to_words(),
                            std::net::IpAddr::V6(address) => ipv6(address.to_bits()).to_words(),
                        };
                        let line = lines.line(first + addresses / 4);
                        let word = (addresses % 4 * 2) as usize;
                        line[word..word + 2].copy_from_slice(&words);
                        addresses += 1;
                    }
                    Place::Interface(name) => {
                        let arrivals = facts.arrivals.get(name).filter(|found| !found.is_empty());
                        let arrivals = arrivals.ok_or_else(|| CompileError::NoSuchPlace {
                            interface: name.clone(),
                        })?;
                        interfaces.extend(arrivals);
                    }
                }
            }
            if interfaces.len() > INTERFACES {
                return Err(CompileError::TooManyInterfaces {
                    count: interfaces.len(),
                });
            }
            let Some(&any) = interfaces.first() else {
                continue;
            };
            let line = lines.line(first + (ADDRESSES / 4) as u32);
            for at in 0..INTERFACES {
                let ifindex = interfaces.get(at).copied().unwrap_or(any);
                line[at / 2] |= u64::from(ifindex) << (32 * (at % 2));
            }
        }
        Ok(base)
    }
}
