//! How much of the agent those who may only read may use at once, so that nobody else waits for them.
//!
//! Root may do to the agent what it wants, so only its connections are limited, by what descriptors there
//! are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::requests::Peer;

/// Most connections of root, of all readers, and of each.
const OF_ROOT: usize = 128;
const OF_READERS: usize = 48;
const OF_READER: usize = 16;
/// Requests of all readers that are worked on at once; each has one.
const WORKED_ON: usize = 2;

/// Longest request of a reader, in bytes.
const READERS_BODY: usize = 1 << 20;
/// Longest request of root: a policy with two million addresses, the most there may be, is 90 MiB where each is
/// IPv6 and written out.
const ROOTS_BODY: usize = 128 << 20;

/// Who is connected.
#[derive(Debug)]
pub struct Limits {
    inside: Mutex<Inside>,
    work: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Connections of root.
    root: usize,
    /// By user id.
    readers: BTreeMap<Option<u32>, Reader>,
}

#[derive(Debug)]
struct Reader {
    connections: usize,
    /// One of its requests is worked on at a time.
    turn: Arc<Semaphore>,
}

/// A place for one connection; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    limits: Arc<Limits>,
    peer: Peer,
    /// `None` for root.
    turn: Option<Arc<Semaphore>>,
}

/// A request's turn to be worked on, until its answer is sent.
#[derive(Debug)]
pub struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inside: Mutex::default(),
            work: Arc::new(Semaphore::new(WORKED_ON)),
        }
    }
}

impl Limits {
    /// A place for a connection of `peer`; `None` if it, or all readers, have too many.
    pub fn enter(self: &Arc<Self>, peer: Peer) -> Option<Place> {
        let mut inside = self.inside();
        let turn = if peer.is_root() {
            if inside.root >= OF_ROOT {
                return None;
            }
            inside.root += 1;
            None
        } else {
            let readers = inside.readers.values();
            let all: usize = readers.map(|reader| reader.connections).sum();
            let reader = inside.readers.get(&peer.uid);
            let own = reader.map_or(0, |reader| reader.connections);
            if all >= OF_READERS || own >= OF_READER {
                return None;
            }
            let new = || Reader {
                connections: 0,
                turn: Arc::new(Semaphore::new(1)),
            };
            let reader = inside.readers.entry(peer.uid).or_insert_with(new);
            reader.connections += 1;
            Some(Arc::clone(&reader.turn))
        };
        Some(Place {
            limits: Arc::clone(self),
            peer,
            turn,
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whose connection it is.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Longest request, in bytes.
    pub fn most_bytes(&self) -> usize {
        if self.peer.is_root() {
            ROOTS_BODY
        } else {
            READERS_BODY
        }
    }

    /// Waits until a request may be worked on; `None` if it need not wait.
    pub async fn turn(&self) -> Option<Turn> {
        let own = Arc::clone(self.turn.as_ref()?).acquire_owned().await;
        let of_all = Arc::clone(&self.limits.work).acquire_owned().await;
        // Neither is ever closed.
        Some(Turn {
            _own: own.ok()?,
            _of_all: of_all.ok()?,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.limits.inside();
        if self.peer.is_root() {
            inside.root -= 1;
            return;
        }
        if let Some(reader) = inside.readers.get_mut(&self.peer.uid) {
            reader.connections -= 1;
            if reader.connections == 0 {
                inside.readers.remove(&self.peer.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn user(uid: u32) -> Peer {
        Peer {
            uid: Some(uid),
            pid: None,
        }
    }

    #[test]
    fn no_reader_takes_the_places_of_others_and_none_those_of_root() {
        let limits = Arc::new(Limits::default());
        let enter = |uid| (0..1000).map_while(move |_| Some(uid)).collect::<Vec<_>>();
        let mut places = Vec::new();
        for (uid, most) in [(1, 16), (2, 16), (3, 16), (4, 0), (0, 128)] {
            let before = places.len();
            places.extend(
                enter(uid)
                    .into_iter()
                    .filter_map(|uid| limits.enter(user(uid))),
            );
            assert_eq!(places.len() - before, most, "user {uid}");
        }
        drop(places);
        assert!(limits.inside().readers.is_empty());
        assert_eq!(limits.inside().root, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_has_one_turn_and_root_needs_none() {
        use std::time::Duration;
        use tokio::time::timeout;

        let limits = Arc::new(Limits::default());
        let [one, same, other, root] = [1, 1, 2, 0].map(|uid| limits.enter(user(uid)).unwrap());
        let turn = one.turn().await;
        assert!(turn.is_some());
        let moment = Duration::from_secs(1);
        assert!(timeout(moment, same.turn()).await.is_err(), "it has one");
        assert!(timeout(moment, other.turn()).await.is_ok());
        assert!(root.turn().await.is_none());
        drop(turn);
        assert!(timeout(moment, same.turn()).await.is_ok());
    }
}
