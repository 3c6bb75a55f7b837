//! Places: the protected addresses and interfaces that a reference point is limited to.
//!
//! A rule that is limited names its place in the lowest bits. The roles that have it may have others for
//! the same service at other places: these are further *choices*, tables of rules like the first, and the
//! first one whose place a packet is at applies.

use super::{
    header::Header,
    line::{Missing, Tables},
    lookup::Lookup,
    service::Rule,
};

/// Places in one image, place 0 ("everywhere") included.
pub const MAX_PLACES: u32 = 64;

/// Choices that one role has of rules for one service.
pub const CHOICES: u64 = 4;

/// Addresses of one place.
pub const ADDRESSES: usize = 8;

/// Addresses in a line.
const PER_LINE: usize = 4;

/// Interfaces of one place.
pub const INTERFACES: usize = 16;

/// Lines of one place: four addresses each, as [`to_words`](crate::frame::address::Family::to_words) has
/// them, then interfaces, by 32-bit indexes. Unused addresses are zeros, which no packet to be judged
/// has; unused interfaces repeat the first.
pub const LINES: u32 = (ADDRESSES / PER_LINE + INTERFACES / 16) as u32;

/// An interface, where it is not asked over which one a packet comes: what answers may come another way.
pub const ANY_INTERFACE: u32 = u32::MAX;

/// An interface that is not known, and belongs to no place.
pub const NO_INTERFACE: u32 = 0;

/// The first rule for a role, of those at `index` of the table of the rules, that applies at the local
/// address of these words and over the interface `ifindex`.
///
/// `index` counts 16-bit values from the first rule. If none applies, it is the first, which says that
/// the packet is [elsewhere](Rule::is_elsewhere).
///
/// # Errors
///
/// [`Missing`] if the image lacks a line.
#[inline(always)]
pub fn choose<T: Lookup>(
    tables: &T,
    index: u32,
    local: [u64; 2],
    ifindex: u32,
) -> Result<Rule, Missing> {
    let mut first = Rule::NONE;
    let mut choice = 0;
    while choice < CHOICES {
        let header = Header::of(tables)?;
        let base = header.rules() + choice * header.choice_lines();
        let rule = Rule(tables.value16(base, index)?);
        if choice == 0 {
            first = rule;
        }
        if rule.id() == 0 {
            break;
        }
        if !rule.is_placed() || tables.is_at(rule.place(), local, ifindex)? {
            return Ok(rule.anywhere());
        }
        choice += 1;
    }
    Ok(first.elsewhere())
}

/// Whether `place` has the local address of these words, or the interface `ifindex`.
///
/// # Errors
///
/// [`Missing`] if the image lacks a line.
#[inline(always)]
pub fn holds<T: Tables>(
    tables: &T,
    place: u32,
    local: [u64; 2],
    ifindex: u32,
) -> Result<bool, Missing> {
    let base = Header::of(tables)?.places() + u64::from(place * LINES);
    let mut of_line = 0;
    while of_line < ADDRESSES / PER_LINE {
        let line = tables.line(base + of_line as u64)?;
        let mut at = 0;
        while at < PER_LINE {
            if (line[2 * at] ^ local[0]) | (line[2 * at + 1] ^ local[1]) == 0 {
                return Ok(true);
            }
            at += 1;
        }
        of_line += 1;
    }
    let line = tables.line(base + (ADDRESSES / PER_LINE) as u64)?;
    // Interfaces fill the entries from the first on.
    if line[0] == 0 {
        return Ok(false);
    }
    if ifindex == ANY_INTERFACE {
        return Ok(true);
    }
    let mut at = 0;
    while at < INTERFACES {
        if (line[at / 2] >> (32 * (at % 2))) as u32 == ifindex {
            return Ok(true);
        }
        at += 1;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        image::{fixed::HEADER, header::word},
        tests::sample::{Image, image},
    };

    const HERE: [u64; 2] = [0, 0xc000_0211];
    const THERE: [u64; 2] = [0x2001_0db8 << 32, 1];

    /// An image with two choices: at an address, and over an interface.
    fn limited() -> Image {
        let mut image = image(false);
        let rules = image.append(8);
        let places = image.append(3 * LINES) as usize;
        let line = |place: u32| places + (place * LINES) as usize;
        image.0[line(1)][..2].copy_from_slice(&HERE);
        image.0[line(2) + ADDRESSES / PER_LINE] = [7 << 32 | 7; 8];
        let header = &mut image.0[HEADER as usize];
        header[word::RECORDS] = u64::from(rules) << 32;
        header[word::PLACES] = (places as u64) << 32 | 4;
        image.set16(rules, 1, Rule::new(5, false).at(1).0);
        image.set16(rules + 4, 1, Rule::new(6, true).at(2).0);
        image
    }

    #[test]
    fn the_first_rule_whose_place_it_is_applies() {
        let image = limited();
        let chosen = |local, ifindex| choose(&image, 1, local, ifindex).expect("all lines");
        assert_eq!(chosen(HERE, 7), Rule::new(5, false));
        assert_eq!(chosen(THERE, 7), Rule::new(6, true));
        assert_eq!(chosen(THERE, ANY_INTERFACE), Rule::new(6, true));
        for nowhere in [8, NO_INTERFACE] {
            let rule = chosen(THERE, nowhere);
            assert!(rule.is_elsewhere() && rule.id() == 5);
        }
        assert_eq!(choose(&image, 2, HERE, 7), Ok(Rule::NONE.elsewhere()));
    }
}
