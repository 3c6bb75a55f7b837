use super::*;

const V6: Ipv6 = Ipv6 {
    high: 0x2001_0db8_ffff_ffff,
    low: 0xffff_ffff_ffff_ffff,
};

fn bits(address: Ipv6) -> u128 {
    u128::from(address.high) << 64 | u128::from(address.low)
}

#[test]
fn masks_leave_the_prefix() {
    for length in 0..=32_u8 {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        assert_eq!(Ipv4(u32::MAX).masked(length), Ipv4(mask), "{length}");
    }
    for length in 0..=128_u8 {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        assert_eq!(bits(V6.masked(length)), bits(V6) & mask, "{length}");
    }
}

#[test]
fn groups_are_multicast_and_whatever_is_delivered_like_broadcast() {
    for (address, expected) in [
        (0xc000_0211, false),
        (0xdfff_ffff, false),
        (0xe000_0000, true),
        (0xef01_0203, true),
        (0xffff_ffff, true),
        (0x0000_0000, true),
        (0x0000_0001, false),
    ] {
        assert_eq!(Ipv4(address).is_group(), expected, "{address:#x}");
    }
    let v6 = |high| Ipv6 { high, low: 1 };
    assert!(v6(0xff02 << 48).is_group() && v6(0xffff << 48).is_group());
    assert!(!v6(0xfe80 << 48).is_group() && !v6(0x2001_0db8 << 32).is_group());
}

#[test]
fn all_loopback_addresses_are_known() {
    for (address, expected) in [
        (0x7eff_ffff, false),
        (0x7f00_0000, true),
        (0x7f00_0001, true),
        (0x7fff_ffff, true),
        (0x8000_0000, false),
    ] {
        assert_eq!(Ipv4(address).is_loopback(), expected, "{address:#x}");
    }
    assert!(!V6.is_loopback());
}

#[test]
fn only_the_unspecified_address_is_it() {
    assert!(Ipv4(0).is_unspecified() && Ipv6 { high: 0, low: 0 }.is_unspecified());
    for bit in 0..64 {
        let one = 1 << bit;
        assert!(bit >= 32 || !Ipv4(one as u32).is_unspecified());
        assert!(!Ipv6 { high: one, low: 0 }.is_unspecified());
        assert!(!Ipv6 { high: 0, low: one }.is_unspecified());
    }
}

#[test]
fn addresses_of_one_link_are_known() {
    for (address, expected) in [
        (0xa9fd_ffff, false),
        (0xa9fe_0000, true),
        (0xa9fe_ffff, true),
        (0xa9ff_0000, false),
    ] {
        assert_eq!(Ipv4(address).is_link_local(), expected, "{address:#x}");
    }
    for (prefix, expected) in [
        (0xfe7f_ffff_u64, false),
        (0xfe80_0000, true),
        (0xfebf_ffff, true),
        (0xfec0_0000, false),
    ] {
        let high = prefix << 32;
        assert_eq!(
            Ipv6 { high, low: 1 }.is_link_local(),
            expected,
            "{prefix:#x}"
        );
    }
}
