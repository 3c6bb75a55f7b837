//! Reports services that match the same packets.
//!
//! In each direction, the datapath finds one service for a packet, by its protocol and port. A port
//! of two services would silently be judged by one of them.

use std::collections::BTreeSet;

use super::services::{self, Services};
use crate::policy::{
    icmp::{self, Codes},
    mistake::Mistakes,
    model::{Direction, ServiceMatch, Transport},
    raw::Text,
};

/// A service in a reference point.
pub(super) struct Use {
    pub(super) direction: Direction,
    pub(super) service: Text,
    pub(super) reference_point: Box<str>,
}

/// A range of one protocol's ports, or of types of ICMP, and the use of the service that matches it.
struct Range<'a> {
    protocol: u8,
    first: u16,
    last: u16,
    by: &'a Use,
}

/// Reports each pair of services that overlap in one direction.
pub(super) fn report(uses: &[Use], defined: &Services, mistakes: &mut Mistakes) {
    for direction in [Direction::Inbound, Direction::Outbound] {
        let mut ranges = ranges(uses, direction, defined);
        ranges.sort_unstable_by_key(|range| (range.protocol, range.first, range.last));
        let mut reported = BTreeSet::new();
        let mut met: Vec<&Range<'_>> = Vec::new();
        for range in &ranges {
            met.retain(|earlier| earlier.meets(range));
            for earlier in &met {
                let pair = [&earlier.by.service.what, &range.by.service.what];
                let pair = if pair[0] < pair[1] {
                    pair
                } else {
                    [pair[1], pair[0]]
                };
                if reported.insert(pair) {
                    describe(earlier, range, mistakes);
                }
            }
            met.push(range);
        }
    }
}

/// The ranges of all services used in one direction, with the first use of each service.
fn ranges<'a>(uses: &'a [Use], direction: Direction, defined: &Services) -> Vec<Range<'a>> {
    let mut seen = BTreeSet::new();
    let mut ranges = Vec::new();
    for by in uses.iter().filter(|by| by.direction == direction) {
        if !seen.insert(&by.service.what) {
            continue;
        }
        let service = services::find(&by.service.what, defined);
        for matches in service.into_iter().flat_map(|service| service.matches) {
            let (protocol, first, last) = matches.range();
            ranges.push(Range {
                protocol,
                first,
                last,
                by,
            });
        }
    }
    ranges
}

impl Range<'_> {
    /// Whether both match the same packet; `self` must not begin after `later`.
    fn meets(&self, later: &Self) -> bool {
        self.protocol == later.protocol && self.last >= later.first
    }
}

fn describe(a: &Range<'_>, b: &Range<'_>, mistakes: &mut Mistakes) {
    let (earlier, later) = if a.by.service.at < b.by.service.at {
        (a, b)
    } else {
        (b, a)
    };
    let common = match Transport::from_protocol(a.protocol) {
        Some(transport) => ServiceMatch::Ports {
            transport,
            first: a.first.max(b.first),
            last: a.last.min(b.last),
        },
        None if icmp::is_icmp(a.protocol) && a.first.max(b.first) == a.last.min(b.last) => {
            ServiceMatch::Icmp {
                protocol: a.protocol,
                kind: a.last.min(b.last) as u8,
                codes: Codes::ALL,
            }
        }
        None => ServiceMatch::Protocol(a.protocol),
    };
    let written = |range: &Range<'_>| {
        let by = range.by;
        let line = by.service.at.line;
        format!(
            "`{}` (in `{}`, line {line})",
            by.service.what, by.reference_point
        )
    };
    mistakes.add(later.by.service.at, || {
        let message = format!(
            "the services {} and {} both match \
         {common}",
            written(earlier),
            written(later)
        );
        let remedy = "A packet can belong to one service only: use one of the two, or define a \
         service with only \
                      the ports or types that you need.";
        (message, remedy.to_owned())
    });
}
