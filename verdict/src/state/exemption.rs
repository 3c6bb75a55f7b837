//! Exemptions: who gets in whatever the policy says, for good or until a time.
//!
//! They are the host's emergency entrance ("break glass"). They belong to no image, so they hold under
//! every policy, and also where the image is broken. The kernel looks at their times itself.

/// Most exemptions that hold at once.
pub const EXEMPTIONS: usize = 32;

/// The time of an exemption that does not end by itself.
pub const FOR_GOOD: u64 = u64::MAX;

/// [`Exemption::family`] of IPv4.
pub const IPV4: u32 = 4;
/// [`Exemption::family`] of IPv6.
pub const IPV6: u32 = 6;

/// Peers that get in to ports of one transport protocol.
///
/// The agent writes `until` after everything else when it begins, and before everything else when it ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Exemption {
    /// Address of the peers as [`Family::to_words`](crate::frame::address::Family::to_words) gives it, the
    /// bits outside of `mask` zero.
    pub address: [u64; 2],
    /// Bits of the address that count.
    pub mask: [u64; 2],
    /// Source MAC address of their packets in the lower 48 bits; 0 for any.
    pub mac: u64,
    /// The time until which it holds, by the clock of leases; 0 if it does not hold.
    pub until: u64,
    /// Index of the interface on which their packets arrive; 0 for any.
    pub ifindex: u32,
    /// [`IPV4`] or [`IPV6`].
    pub family: u32,
    /// IP protocol: TCP, UDP or SCTP.
    pub protocol: u32,
    /// First port of this host.
    pub first: u16,
    /// Last port of this host.
    pub last: u16,
}

const _: () = assert!(size_of::<Exemption>() == 64);

/// What a packet has that exemptions are compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Case {
    /// The peer's address in words.
    pub peer: [u64; 2],
    /// Port of this host in bits 0 to 15, IP protocol in bits 16 to 23, [`IPV4`] or [`IPV6`] in bits 24 to 31.
    pub asked: u32,
    /// Where it comes from; `None` for an answer, which leaves by whichever way there is.
    pub origin: Option<Arrival>,
}

/// Where a packet comes from, as far as that can be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Source MAC address in the lower 48 bits; 0 if it cannot be seen.
    pub mac: u64,
    /// Index of the interface; 0 if it cannot be seen.
    pub ifindex: u32,
}

/// What stands for the MAC address of a packet that goes out.
const GOES_OUT: u64 = u64::MAX;

impl Case {
    /// What is asked for: `family` is [`IPV4`] or [`IPV6`].
    #[inline(always)]
    #[must_use]
    pub const fn ask(family: u32, protocol: u8, port: u16) -> u32 {
        family << 24 | (protocol as u32) << 16 | port as u32
    }

    /// This case as five words, which [`Case::from_words`] takes.
    #[inline(always)]
    #[must_use]
    pub const fn to_words(self) -> [u64; 5] {
        let [high, low] = self.peer;
        let (mac, ifindex) = match self.origin {
            Some(origin) => (origin.mac, origin.ifindex as u64),
            None => (GOES_OUT, 0),
        };
        [high, low, self.asked as u64, mac, ifindex]
    }

    /// The case of these words.
    #[inline(always)]
    #[must_use]
    pub const fn from_words([high, low, asked, mac, ifindex]: [u64; 5]) -> Self {
        Self {
            peer: [high, low],
            asked: asked as u32,
            origin: if mac == GOES_OUT {
                None
            } else {
                Some(Arrival {
                    mac,
                    ifindex: ifindex as u32,
                })
            },
        }
    }
}

impl Exemption {
    /// Whether it holds at the time `now`.
    #[inline(always)]
    #[must_use]
    pub const fn holds(&self, now: u64) -> bool {
        now < self.until
    }

    /// Whether it lets such packets pass. Without a branch, which the kernel's verifier would follow for each
    /// exemption.
    #[inline(always)]
    #[must_use]
    pub const fn covers(&self, case: &Case) -> bool {
        let kind = self.family << 8 | self.protocol;
        let mut other = ((case.peer[0] ^ self.address[0]) & self.mask[0])
            | ((case.peer[1] ^ self.address[1]) & self.mask[1])
            | ((case.asked >> 16) ^ kind) as u64;
        if let Some(origin) = case.origin {
            other |= (origin.mac ^ self.mac) * (self.mac != 0) as u64;
            other |= ((origin.ifindex ^ self.ifindex) as u64) * (self.ifindex != 0) as u64;
        }
        // The port, less the first, is at most the last less that.
        let past = (self.last.wrapping_sub(self.first) as u64)
            .wrapping_sub((case.asked as u16).wrapping_sub(self.first) as u64);
        (other | (past >> 63)) == 0
    }
}

/// Where exemptions are kept.
pub trait Exemptions {
    /// All of them.
    fn exemptions(&self) -> Option<&[Exemption; EXEMPTIONS]>;

    /// The time by the clock of leases.
    fn clock(&self) -> u64;

    /// [`is_covered`], perhaps by a function of the kernel's own.
    #[inline(always)]
    fn covers(&self, case: &Case) -> bool {
        is_covered(self, case)
    }
}

/// Whether one of the exemptions that hold lets such packets pass.
#[inline(always)]
pub fn is_covered<E: Exemptions + ?Sized>(exemptions: &E, case: &Case) -> bool {
    let Some(all) = exemptions.exemptions() else {
        return false;
    };
    let now = exemptions.clock();
    let mut index = 0;
    while index < EXEMPTIONS {
        let exemption = &all[index];
        if exemption.covers(case) && exemption.holds(now) {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{
        address::{Family as _, Ipv4},
        transport::IpProtocol,
    };

    const SSH: Exemption = Exemption {
        address: [0, 0xc633_6400],
        mask: [u64::MAX, 0xffff_fff0],
        mac: 0,
        until: 10,
        ifindex: 0,
        family: IPV4,
        protocol: IpProtocol::TCP.0 as u32,
        first: 22,
        last: 24,
    };

    fn case(peer: u32, port: u16) -> Case {
        Case {
            peer: Ipv4(peer).to_words(),
            asked: Case::ask(IPV4, IpProtocol::TCP.0, port),
            origin: None,
        }
    }

    #[test]
    fn only_its_peers_and_ports_are_exempt() {
        for port in 22..=24 {
            assert!(SSH.covers(&case(0xc633_640f, port)), "{port}");
        }
        for port in [0, 21, 25, u16::MAX] {
            assert!(!SSH.covers(&case(0xc633_640f, port)), "{port}");
        }
        assert!(!SSH.covers(&case(0xc633_6410, 22)));
        for asked in [
            Case::ask(IPV6, IpProtocol::TCP.0, 22),
            Case::ask(IPV4, IpProtocol::UDP.0, 22),
        ] {
            let other = Case {
                asked,
                ..case(0xc633_6401, 22)
            };
            assert!(!SSH.covers(&other));
        }
        assert!(!Exemption::default().covers(&case(0, 0)), "none is empty");
    }

    #[test]
    fn it_ends_at_its_time() {
        assert!(SSH.holds(9) && !SSH.holds(10));
        assert!(!Exemption::default().holds(0));
        let for_good = Exemption {
            until: FOR_GOOD,
            ..SSH
        };
        assert!(for_good.holds(u64::MAX - 1));
    }

    #[test]
    fn a_binding_is_seen_or_not_met() {
        let bound = Exemption {
            mac: 1,
            ifindex: 2,
            ..SSH
        };
        let from = |mac, ifindex| Case {
            origin: Some(Arrival { mac, ifindex }),
            ..case(0xc633_6401, 22)
        };
        assert!(bound.covers(&from(1, 2)));
        for (mac, ifindex) in [(2, 2), (1, 3), (0, 2), (1, 0)] {
            assert!(!bound.covers(&from(mac, ifindex)), "{mac} {ifindex}");
        }
        assert!(bound.covers(&case(0xc633_6401, 22)), "an answer");
        assert!(SSH.covers(&from(0, 0)));
    }

    #[test]
    fn a_case_is_the_same_as_words() {
        let answer = case(0xc633_6401, 22);
        let asks = Case {
            origin: Some(Arrival { mac: 7, ifindex: 3 }),
            ..answer
        };
        for case in [answer, asks] {
            assert_eq!(Case::from_words(case.to_words()), case);
        }
    }
}
