//! What a socket has opened whose addresses the host translates behind it: a cluster's service addresses,
//! masquerading.
//!
//! What a socket sends has passed translation where the inner door sees it, and what a socket receives has
//! been translated back. So the socket itself keeps how either looks: as the connection is seen at the
//! socket, and as it is on the wire, by which it is judged.

use super::flow::Key;

/// Peers whose translations a socket keeps; one without a connection may have several.
const KEPT: usize = 4;

/// What a socket keeps. Zeros are nothing.
///
/// An entry has in words 0 to 2 who the peer is, as the socket sees it ([`Key::peer`]), and in words 3 to 7
/// the key on the wire. Threads that send over one socket at once may spoil an entry; its peer is then
/// judged by a connection that the socket has with another, until the socket sends to it again.
#[derive(Debug)]
#[repr(C)]
pub struct Translated {
    entries: [[u64; 8]; KEPT],
    /// Entries that were written over others, or in new places.
    written: u32,
    reserved: u32,
}

impl Translated {
    /// What a socket keeps that has sent nothing.
    pub const NOTHING: Self = Self {
        entries: [[0; 8]; KEPT],
        written: 0,
        reserved: 0,
    };

    /// The index of the entry for what the socket sees as `seen`; `None` if it has not opened that.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, seen: &Key) -> Option<u32> {
        let peer = seen.peer();
        let mut index = 0;
        while index < KEPT {
            let [a, b, c, ..] = self.entries[index];
            if [a, b, c] == peer {
                return Some(index as u32);
            }
            index += 1;
        }
        None
    }

    /// The key on the wire that the entry `index` has.
    #[inline(always)]
    #[must_use]
    pub const fn at(&self, index: u32) -> Key {
        let [_, _, _, words @ ..] = self.entries[index as usize % KEPT];
        Key::from_words(words)
    }

    /// Keeps that what the socket sees as `seen` is `wire` on the wire; forgets the oldest, if there is no
    /// more room.
    #[inline(always)]
    pub fn keep(&mut self, seen: &Key, wire: &Key) {
        let index = self.find(seen).unwrap_or_else(|| {
            self.written += 1;
            self.written
        });
        let entry = &mut self.entries[index as usize % KEPT];
        let (peer, key) = entry.split_at_mut(3);
        peer.copy_from_slice(&seen.peer());
        key.copy_from_slice(&wire.to_words());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::address::Ipv4, state::flow::key::CONNECTION};

    fn key(local: u32, remote: u32, ports: u32) -> Key {
        Key::new(CONNECTION, Ipv4(local), Ipv4(remote), 17, ports)
    }

    fn found(kept: &Translated, seen: &Key) -> Option<Key> {
        kept.find(seen).map(|index| kept.at(index))
    }

    #[test]
    fn a_peer_is_found_as_the_socket_sees_it() {
        let mut kept = Translated::NOTHING;
        let (seen, wire) = (key(1, 10, 7 << 16 | 53), key(2, 20, 8 << 16 | 5353));
        kept.keep(&seen, &wire);
        assert_eq!(found(&kept, &seen), Some(wire));
        // Which of its addresses the socket has used is not told by all of its packets.
        assert_eq!(found(&kept, &key(9, 10, 7 << 16 | 53)), Some(wire));
        assert_eq!(
            found(&kept, &key(1, 10, 7 << 16 | 54)),
            None,
            "another port"
        );
        assert_eq!(
            found(&kept, &key(1, 11, 7 << 16 | 53)),
            None,
            "another address"
        );
    }

    #[test]
    fn the_newest_are_kept_each_once() {
        let mut kept = Translated::NOTHING;
        for remote in 1..=5 {
            for local in 1..=3 {
                kept.keep(&key(1, remote, 1), &key(local, remote, 2));
            }
        }
        assert_eq!(found(&kept, &key(1, 5, 1)), Some(key(3, 5, 2)));
        assert_eq!(found(&kept, &key(1, 1, 1)), None, "the oldest");
    }
}
