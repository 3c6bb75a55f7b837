//! Changes single addresses of an image that is compiled already: a few lines of it.

use ipnet::IpNet;
use verdict::{
    frame::address::{Ipv4, family},
    image::{
        bucket::Bucketed,
        endpoint::Peer,
        fixed::HEADER,
        header::{Flags, word},
        line::PER_LINE_64,
        region::{Region, find, summary_bits},
    },
};

use super::{Image, Numbers, addresses::ipv6, records, roles::Roles};
use crate::policy::{Policy, patch::Patched};

impl Image {
    /// This image after `changes`, which have led to `policy`; `None` where more than single entries would
    /// have to change, so that it is to be compiled anew.
    #[must_use]
    pub fn patched(&self, policy: &Policy, numbers: &Numbers, changes: &[Patched]) -> Option<Self> {
        let roles = Roles::of(policy)?;
        let mut image = self.clone();
        for change in changes {
            let endpoint = policy.endpoints.get(&change.endpoint)?;
            let number = *numbers.endpoints.get(&change.endpoint)?;
            let role = roles.number(&endpoint.roles);
            let value = Peer::new(number, role, records::is_bound(endpoint)).0;
            let value = change.added.then_some(value);
            // A prefix around it may have been written as single entries, which this would hide.
            let around = |net: &IpNet| *net != change.address && net.contains(&change.address);
            let endpoints = policy.endpoints.values();
            if endpoints.flat_map(|it| &it.addresses).any(around) {
                return None;
            }
            match change.address {
                IpNet::V4(net) => {
                    image.set(Ipv4(net.addr().to_bits()), net.prefix_len(), value)?;
                }
                IpNet::V6(net) => {
                    image.set(ipv6(net.addr().to_bits()), net.prefix_len(), value)?;
                }
            }
        }
        Some(image)
    }

    /// Gives the single address `address` this value, or takes its own away.
    fn set<A: Bucketed>(&mut self, address: A, length: u8, value: Option<u32>) -> Option<()> {
        let header = self.lines.get(HEADER as usize)?;
        // Lookups ask for addresses of full length only where there are others.
        if length != A::BITS || Flags(header[word::FLAGS]).longest::<A>() != A::BITS {
            return None;
        }
        let region = Region::from_word(header[word::ENDPOINTS + family::<A>()]);
        let known = find(self, region, address, length).ok()? != 0;
        if known == value.is_some() {
            return None;
        }
        let hash = address.hash(length);
        let buckets = [region.first(hash), region.second(hash)].map(|it| region.base + it);
        let preferred = A::preferred(hash);
        let Some(value) = value else {
            return buckets.into_iter().find_map(|bucket| {
                let line = self.lines.get_mut(bucket as usize)?;
                let holds = |at: &usize| address.read(length, line, *at).value().is_some();
                let at = (0..A::PER_BUCKET).find(holds)?;
                A::clear(line, at);
                Some(())
            });
        };
        let places = |bucket: u32| (0..A::PER_BUCKET).map(move |at| (bucket, at));
        let places = std::iter::once((buckets[0], preferred))
            .chain(places(buckets[0]))
            .chain(places(buckets[1]));
        let mut free = places.filter(|&(bucket, at)| {
            let line = self.lines.get(bucket as usize);
            line.is_some_and(|line| A::is_empty(line, at))
        });
        let (bucket, at) = free.next()?;
        drop(free);
        address.put(length, value, self.lines.get_mut(bucket as usize)?, at);
        if (bucket, at) != (buckets[0], preferred) {
            A::displace(self.lines.get_mut(buckets[0] as usize)?, preferred);
        }
        if region.is_summarized() {
            let summary = region.summary_word::<A>(hash);
            let line = region.base + region.mask + 1 + summary / PER_LINE_64;
            let line = self.lines.get_mut(line as usize)?;
            line[(summary % PER_LINE_64) as usize] |= summary_bits(hash);
        }
        Some(())
    }
}
