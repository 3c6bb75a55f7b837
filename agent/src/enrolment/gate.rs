//! Limits the handshakes in progress, in all and from one address.
//!
//! At the limit for all, a new handshake evicts the oldest one of the address that has most. So
//! stalled handshakes, even from many addresses, do not keep out peers that finish soon.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Counts handshakes in progress.
#[derive(Debug)]
pub(super) struct Gate {
    most: usize,
    most_of_one: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    all: usize,
    /// By address, the oldest first.
    sources: HashMap<IpAddr, VecDeque<Held>>,
}

/// What the gate keeps of a permit.
#[derive(Debug)]
struct Held {
    number: u64,
    /// Dropped to tell the permit's holder that it was evicted.
    _keep: oneshot::Sender<()>,
}

/// A permit for one handshake; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    source: IpAddr,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Gate {
    /// A gate for `most` handshakes, `most_of_one` from one address.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            inside: Mutex::default(),
        }
    }

    /// Gives a permit for a handshake from `source`; `None` if a limit is reached.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Permit> {
        let mut inside = self.inside();
        let of_one = inside.sources.get(&source).map_or(0, VecDeque::len);
        if of_one >= self.most_of_one {
            return None;
        }
        if inside.all >= self.most && !inside.evict(of_one) {
            return None;
        }
        inside.all += 1;
        inside.next += 1;
        let number = inside.next;
        let (keep, kept) = oneshot::channel();
        let held = Held {
            number,
            _keep: keep,
        };
        inside.sources.entry(source).or_default().push_back(held);
        Some(Permit {
            gate: Arc::clone(self),
            source,
            number,
            kept,
        })
    }

    /// Handshakes in progress.
    pub(super) fn count(&self) -> usize {
        self.inside().all
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Evicts the oldest handshake of the address that has most; of several such addresses, the one
    /// with the oldest. Returns `false` if no address has more than `fewer`.
    fn evict(&mut self, fewer: usize) -> bool {
        let oldest = |held: &VecDeque<Held>| held.front().map(|held| held.number);
        let greediest = self
            .sources
            .iter()
            .max_by_key(|(_, held)| (held.len(), Reverse(oldest(held))))
            .filter(|(_, held)| held.len() > fewer)
            .map(|(&source, held)| (source, oldest(held)));
        match greediest {
            Some((source, Some(number))) => self.remove(source, number),
            _ => false,
        }
    }

    /// Removes a permit; `false` if it was removed before.
    fn remove(&mut self, source: IpAddr, number: u64) -> bool {
        let Some(held) = self.sources.get_mut(&source) else {
            return false;
        };
        let Some(index) = held.iter().position(|held| held.number == number) else {
            return false;
        };
        held.remove(index);
        if held.is_empty() {
            self.sources.remove(&source);
        }
        self.all -= 1;
        true
    }
}

impl Permit {
    /// Waits until a new handshake evicts this one.
    pub(super) async fn evicted(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.kept).await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.inside().remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [IpAddr; 4] {
        [1, 2, 3, 4].map(|last| [192, 0, 2, last].into())
    }

    fn is_evicted(permit: &mut Permit) -> bool {
        permit.kept.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn one_source_does_not_keep_others_out() {
        let gate = Arc::new(Gate::new(3, 2));
        let [one, other, third, _] = addresses();
        let mut permits: Vec<_> = (0..2).map(|_| gate.enter(one).unwrap()).collect();
        assert!(gate.enter(one).is_none(), "two are enough");
        let mut permit = gate.enter(other).unwrap();
        let _third = gate.enter(third).unwrap();
        assert_eq!(gate.count(), 3, "no more than before");
        assert!(is_evicted(&mut permits[0]), "the oldest of who has most");
        assert!(!is_evicted(&mut permits[1]) && !is_evicted(&mut permit));
        drop(permits);
        assert_eq!(gate.count(), 2, "an evicted permit is not given back");
        assert!(gate.enter(one).is_some());
    }

    #[test]
    fn among_equals_the_newcomer_goes_first() {
        let gate = Arc::new(Gate::new(3, 2));
        let [first, second, third, last] = addresses();
        let mut permits = [first, second, third].map(|source| gate.enter(source).unwrap());
        assert!(gate.enter(third).is_none(), "it has as many as the others");
        let _last = gate.enter(last).unwrap();
        let evicted = permits.each_mut().map(is_evicted);
        assert_eq!(evicted, [true, false, false], "the oldest");
    }

    #[test]
    fn permits_are_given_back() {
        let gate = Arc::new(Gate::new(3, 2));
        let [one, other, ..] = addresses();
        let permits = [one, one, other].map(|source| gate.enter(source).unwrap());
        drop(permits);
        assert_eq!(gate.count(), 0);
        assert!(gate.inside().sources.is_empty());
    }
}
