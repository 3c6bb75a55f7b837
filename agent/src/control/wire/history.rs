//! The history of policies.

use manoward_api::{Event, HistoryEntry, Verification, Who};

use crate::{enforcer, store::history};

impl From<history::Entry> for HistoryEntry {
    fn from(entry: history::Entry) -> Self {
        Self {
            number: entry.number,
            time: entry.time,
            event: entry.event.into(),
            serial: entry.serial,
            digest: entry.digest,
            file: entry.file,
            confirm_within_seconds: entry.confirm_within,
            restores: entry.restores,
            door: entry.door,
            message: entry.message,
            who: entry.who.map(Into::into),
        }
    }
}

impl From<history::Who> for Who {
    fn from(who: history::Who) -> Self {
        Self {
            uid: who.uid,
            pid: who.pid,
            terminal: who.terminal,
            peer: who.peer,
        }
    }
}

impl From<history::Event> for Event {
    fn from(event: history::Event) -> Self {
        match event {
            history::Event::Applied => Self::Applied,
            history::Event::Tried => Self::Tried,
            history::Event::Confirmed => Self::Confirmed,
            history::Event::Lapsed => Self::Lapsed,
            history::Event::Cancelled => Self::Cancelled,
            history::Event::Found => Self::Found,
            history::Event::Opened => Self::Opened,
            history::Event::Closed => Self::Closed,
        }
    }
}

impl From<enforcer::Verification> for Verification {
    fn from(verification: enforcer::Verification) -> Self {
        Self {
            lines: verification.lines,
            head: verification.head,
            flaws: verification.flaws,
        }
    }
}
