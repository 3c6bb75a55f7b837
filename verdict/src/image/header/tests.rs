use std::{vec, vec::Vec};

use super::*;
use crate::{
    frame::address::{Ipv4, Ipv6},
    image::{
        fixed::{
            DIRECT_ENTRIES, DIRECT_IPV4, DIRECT_IPV6, FIXED_LINES, LENGTHS, MACS, SEGMENTS,
            SERVICE_LINES, SERVICES, TIMEOUTS,
        },
        line::PER_LINE_64,
        segments,
    },
    tests::sample::Image,
};

#[test]
fn values_lie_where_their_index_says() {
    let mut image = Image(vec![Line::default(); 4]);
    image.0[2][5] = 0xabcd_0000_0000;
    assert_eq!(image.value16(1, 32 + 5 * 4 + 2), Ok(0xabcd));
    assert_eq!(image.value16(1, 32 + 5 * 4 + 1), Ok(0));
}

#[test]
fn what_lies_beyond_is_missing() {
    let image = Image(vec![Line::default(); 4]);
    assert_eq!(image.value16(4, 0), Err(Missing));
    assert_eq!(image.value16(u64::MAX, 63), Ok(0), "wraps to line 0");
    assert_eq!(image.value16(u64::MAX, 0), Err(Missing));
    assert!(Header::of(&Image(Vec::new())).is_err());
}

#[test]
fn flags_keep_their_parts() {
    let flags = Flags::new(
        0xfedc,
        Modes::AUDIT.with(Modes::UNRULED_FLOWS),
        [3, 16],
        [32, 128],
    );
    assert!(flags.modes().has(Modes::AUDIT) && flags.modes().has(Modes::UNRULED_FLOWS));
    assert!(
        !flags
            .modes()
            .has(Modes::ANY_OUTBOUND.with(Modes::AUDIT_OUTBOUND))
    );
    assert_eq!((flags.lengths::<Ipv4>(), flags.lengths::<Ipv6>()), (3, 16));
    assert_eq!(
        (flags.longest::<Ipv4>(), flags.longest::<Ipv6>()),
        (32, 128)
    );
    assert_eq!((flags.0 >> 48, flags.slot()), (0xfedc, 0));
    let placed = flags.in_slot(3);
    assert_eq!((placed.slot(), placed.0 >> 48), (3, 0xfedc));
    assert_eq!(placed.lengths::<Ipv6>(), 16);
    assert_eq!(Flags::new(1, Modes(0), [0, 0], [0, 0]).modes(), Modes(0));
}

#[test]
fn the_fixed_part_does_not_overlap() {
    let parts = [
        (HEADER, 1),
        (LENGTHS, 2),
        (DIRECT_IPV4, DIRECT_ENTRIES / PER_LINE_64),
        (DIRECT_IPV6, 2 * DIRECT_ENTRIES / PER_LINE_64),
        (TIMEOUTS, 1),
        (MACS, 1),
        (SERVICES, SERVICE_LINES),
        (SEGMENTS, segments::LINES),
    ];
    let mut end = 0;
    for (first, count) in parts {
        assert_eq!(first, end);
        end = first + count;
    }
    assert_eq!(end, FIXED_LINES);
    const {
        assert!(
            FIXED_LINES < crate::layout::CHUNK_LINES,
            "one chunk holds it"
        );
    };
}

#[test]
fn a_role_that_holds_a_permission_has_its_bit() {
    let mut lines = vec![Line::default(); 2];
    lines[HEADER as usize][word::ROLES] = 1 << 63 | 1 << 5;
    let image = Image(lines);
    let header = Header::of(&image).expect("a header");
    let entering: Vec<u8> = (0..64).filter(|&role| header.knows(role)).collect();
    assert_eq!(entering, vec![5, 63]);
}

#[test]
fn words_lie_where_their_index_says() {
    let mut image = Image(vec![Line::default(); 4]);
    for (index, expected) in (8..32).zip(0x1_0000_0002..) {
        image.0[index as usize / 8][index as usize % 8] = expected;
        assert_eq!(image.fixed64(index), Ok(expected));
        assert_eq!(image.fixed32(2 * index), Ok(expected as u32));
        assert_eq!(image.fixed32(2 * index + 1), Ok((expected >> 32) as u32));
    }
    assert_eq!(image.fixed64(32), Err(Missing));
    assert_eq!(image.fixed32(64), Err(Missing));
}
