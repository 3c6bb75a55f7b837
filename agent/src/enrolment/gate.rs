//! How many handshakes may be in progress, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts handshakes in progress.
#[derive(Debug)]
pub(super) struct Gate {
    most: usize,
    most_of_one: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place inside, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    source: IpAddr,
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

    /// Lets a handshake in; `None` if there are enough.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let mut inside = self.inside();
        let of_one = inside.by_source.get(&source).copied().unwrap_or(0);
        if inside.all >= self.most || of_one >= self.most_of_one {
            return None;
        }
        inside.all += 1;
        inside.by_source.insert(source, of_one + 1);
        Some(Place {
            gate: Arc::clone(self),
            source,
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all -= 1;
        if let Some(count) = inside.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                inside.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_does_not_keep_others_out() {
        let gate = Arc::new(Gate::new(3, 2));
        let [one, other]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let places: Vec<_> = (0..2).map(|_| gate.enter(one).unwrap()).collect();
        assert!(gate.enter(one).is_none());
        let place = gate.enter(other).unwrap();
        assert!(gate.enter(other).is_none(), "three are enough");
        drop(places);
        assert_eq!(gate.count(), 1);
        assert!(gate.enter(one).is_some());
        drop(place);
        assert!(gate.inside().by_source.is_empty());
    }
}
