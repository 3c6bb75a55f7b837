//! What an endpoint is bound to: MAC address, VLAN tags, interface.

use std::collections::BTreeSet;

use super::names;
use crate::policy::{
    mistake::Mistakes,
    model::{Binding, Vlan},
    raw::{Text, Texts},
};

/// Validates the three parts of a binding; each is optional.
pub(super) fn validate(
    mac: Option<&Text>,
    vlan: Option<&Text>,
    interfaces: Option<Texts>,
    mistakes: &mut Mistakes,
) -> Binding {
    let interfaces = interfaces.map(|texts| texts.what).unwrap_or_default();
    for interface in &interfaces {
        names::check_interface(interface, mistakes);
    }
    Binding {
        mac: mac.and_then(|text| validate_mac(text, mistakes)),
        vlan: vlan.and_then(|text| validate_vlan(text, mistakes)),
        interfaces: interfaces
            .into_iter()
            .map(|text| text.what.into())
            .collect(),
    }
}

pub(super) fn validate_mac(text: &Text, mistakes: &mut Mistakes) -> Option<[u8; 6]> {
    let remedy = match parse_mac(&text.what) {
        // The group bit of IEEE 802: a frame's source never has it.
        Some(mac) if mac[0] & 1 == 1 => {
            "It is a group address; write the address of the peer's interface."
        }
        Some([0, 0, 0, 0, 0, 0]) => "Write the address of the peer's interface, or remove `mac`.",
        Some(mac) => return Some(mac),
        None => "Write six pairs of hexadecimal digits, for example `52:54:00:aa:bb:01`.",
    };
    mistakes.add(text.at, || {
        let message = format!("`{}` cannot be the MAC address of a peer", text.what);
        (message, remedy.to_owned())
    });
    None
}

/// The MAC address in `text`; `None` if it is none.
#[must_use]
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut pairs = text.split(separator);
    for byte in &mut mac {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        let digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
    }
    pairs.next().is_none().then_some(mac)
}

fn validate_vlan(text: &Text, mistakes: &mut Mistakes) -> Option<Vlan> {
    let vlan = parse_vlan(&text.what);
    if vlan.is_none() {
        mistakes.add(text.at, || {
            let message = format!("`{}` is not a VLAN", text.what);
            let remedy = "Write an id from 1 to 4094, `untagged`, or two ids in quotes, outer \
             tag first, for example \
                          `\"200.100\"`.";
            (message, remedy.to_owned())
        });
    }
    vlan
}

/// The VLANs that carry the host's traffic.
pub(super) fn segments(texts: &Texts, mistakes: &mut Mistakes) -> BTreeSet<u16> {
    let mut ids = BTreeSet::new();
    for text in &texts.what {
        match parse_vlan(&text.what) {
            Some(Vlan::Untagged) => {}
            Some(Vlan::Tagged(id)) => {
                ids.insert(id);
            }
            _ => mistakes.add(text.at, || {
                let message = format!("`{}` is not the id of a VLAN", text.what);
                let remedy = "Write ids from 1 to 4094, of outer tags, or `untagged`.";
                (message, remedy.to_owned())
            }),
        }
    }
    ids
}

fn parse_vlan(text: &str) -> Option<Vlan> {
    if text == "untagged" {
        return Some(Vlan::Untagged);
    }
    let id = |digits: &str| {
        let decimal = digits.bytes().all(|digit| digit.is_ascii_digit());
        let id = digits.parse().ok().filter(|_| decimal)?;
        (1..=4094).contains(&id).then_some(id)
    };
    match text.split_once('.') {
        None => id(text).map(Vlan::Tagged),
        Some((outer, inner)) => Some(Vlan::Stacked {
            outer: id(outer)?,
            inner: id(inner)?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        assert_eq!(
            parse_mac("52:54:00:Aa:bb:01"),
            Some([0x52, 0x54, 0, 0xaa, 0xbb, 1])
        );
        assert_eq!(
            parse_mac("52-54-00-aa-bb-01"),
            Some([0x52, 0x54, 0, 0xaa, 0xbb, 1])
        );
        for bad in [
            "",
            "52:54:00:aa:bb",
            "52:54:00:aa:bb:01:02",
            "+2:54:00:aa:bb:01",
            "52:54:0:aa:bb:01",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }

    #[test]
    fn vlans() {
        assert_eq!(parse_vlan("untagged"), Some(Vlan::Untagged));
        assert_eq!(parse_vlan("4094"), Some(Vlan::Tagged(4094)));
        assert_eq!(
            parse_vlan("200.100"),
            Some(Vlan::Stacked {
                outer: 200,
                inner: 100
            })
        );
        for bad in ["0", "4095", "-1", "+5", "200.", "1.2.3", "trunk", "0.5"] {
            assert_eq!(parse_vlan(bad), None, "{bad}");
        }
    }
}
