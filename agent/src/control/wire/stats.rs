//! Counters.

use jiff::Timestamp;
use manoward_api::{Count, EndpointCount, Fate, Fates, Place, Stats, VerdictCount, Way};
use verdict::{
    counters::{self, Direction},
    reason::{Outcome, Verdict},
};

use crate::{
    datapath::{self, CounterError, VerdictCounter},
    enforcer::{Current, Observer, View},
    explain::rule,
    image::Numbers,
};

/// Every counter, with the names of `view`.
pub fn stats(observer: &Observer, view: &View) -> Result<Stats, CounterError> {
    let numbers = view.current.as_deref().map(Current::numbers);
    let verdicts = observer.verdicts(numbers)?.into_iter();
    let endpoints =
        numbers.map_or_else(|| Ok(Vec::new()), |numbers| observer.endpoints(numbers))?;
    let endpoints = endpoints.into_iter().map(|(name, count)| EndpointCount {
        name: name.to_owned(),
        received: fates(count.received),
        sent: fates(count.sent),
    });
    Ok(Stats {
        time: Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string(),
        verdicts: verdicts.map(|counter| verdict(counter, numbers)).collect(),
        endpoints: endpoints.collect(),
    })
}

fn verdict(counter: VerdictCounter, numbers: Option<&Numbers>) -> VerdictCount {
    let rule = numbers.and_then(|numbers| rule(numbers, counter.outcome.rule()));
    VerdictCount {
        place: match counter.place {
            datapath::Place::Wire => Place::Wire,
            datapath::Place::Door => Place::Door,
        },
        direction: way(counter.direction),
        reference_point: rule.map(|rule| rule.reference_point.clone()),
        service: rule.map(|rule| rule.service.clone()),
        reason: counter.outcome.reason().name().to_owned(),
        fate: fate(counter.outcome),
        count: count(counter.count),
    }
}

/// What happens to a packet with this outcome.
pub fn fate(outcome: Outcome) -> Fate {
    match (outcome.verdict(), outcome.audited()) {
        (Verdict::Drop, _) => Fate::Dropped,
        (Verdict::Pass, true) => Fate::Audited,
        (Verdict::Pass, false) => Fate::Passed,
    }
}

const fn way(direction: Direction) -> Way {
    match direction {
        Direction::In => Way::In,
        Direction::Out => Way::Out,
    }
}

/// What became of the packets of one direction.
pub const fn fates(fates: counters::Fates) -> Fates {
    Fates {
        passed: count(fates.passed),
        dropped: count(fates.dropped),
    }
}

const fn count(count: counters::Count) -> Count {
    Count {
        packets: count.packets,
        bytes: count.bytes,
    }
}
