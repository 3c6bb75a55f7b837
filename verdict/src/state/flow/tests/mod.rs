use super::{
    Slot,
    follow::{Opening, Sent, receive, send_or_open},
    key::{CONNECTION, Key},
    table::find,
};
use crate::{
    frame::transport::{FIN, SYN, Segment},
    reason::Reason,
    tests::sample::{HOST, Table, VIM, image},
};

mod entries;
mod follow;
mod table;

const TCP: u8 = 6;
const UDP: u8 = 17;

fn table(sets: usize) -> Table {
    Table::new(sets, image(false))
}

fn key(port: u16) -> Key {
    Key::new(CONNECTION, HOST, VIM, TCP, u32::from(port) << 16 | 5671)
}

/// A segment without data.
fn segment(flags: u8, sequence: u32, acknowledgement: u32) -> Segment {
    let counted = flags & FIN != 0 || flags & SYN != 0;
    Segment {
        flags,
        sequence,
        acknowledgement,
        next: sequence.wrapping_add(counted.into()),
    }
}

fn sent(table: &Table, key: &Key, segment: Segment) -> bool {
    let opening = Opening {
        ruled: true,
        may_adopt: || Ok(table.adopting),
        answers: || false,
    };
    send_or_open(table, &table.tables, key, segment, 100, opening).expect("all lines")
        != Sent::NO_ROOM
}

fn found<'a>(table: &'a Table, key: &Key) -> Option<Slot<'a>> {
    find(table, &table.tables, key, table.now).expect("all lines")
}

fn received(table: &Table, key: &Key, segment: Segment) -> Result<(), Reason> {
    let entry = found(table, key).ok_or(Reason::NoFlow)?;
    receive(table, entry, key.protocol(), segment, 60, table.now)
}

fn state(table: &Table, key: &Key) -> Option<&'static str> {
    Some(found(table, key)?.read()?.state.name())
}
