//! A patched image answers like one that is compiled anew.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{compiled, endpoint_of, read};
use crate::policy::{Policy, patch::Patched};

/// Enough addresses that the regions have a summary.
const MANY: u32 = 6000;

fn address(number: u32) -> IpAddr {
    if number.is_multiple_of(2) {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    } else {
        Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + u128::from(number)).into()
    }
}

fn large() -> Policy {
    let addresses = |from: u32| {
        let all = (from..MANY)
            .step_by(3)
            .map(|it| format!("\"{}\"", address(it)));
        all.collect::<Vec<_>>().join(", ")
    };
    read(&format!(
        "endpoints:\n  a: {{ role: vim, addresses: [{}, 198.51.100.0/28] }}\n  \
         b: {{ role: bastion, addresses: [{}] }}\n\
         reference_points: {{ x: {{ from: [vim, bastion], services: [ssh] }} }}\n",
        addresses(0),
        addresses(1)
    ))
}

/// Applies a change to a policy.
fn change(policy: &mut Policy, endpoint: &str, address: IpNet, added: bool) -> Patched {
    let addresses = &mut policy.endpoints.get_mut(endpoint).unwrap().addresses;
    if added {
        addresses.insert(0, address);
    } else {
        addresses.retain(|known| *known != address);
    }
    Patched {
        endpoint: endpoint.to_owned(),
        address,
        added,
    }
}

#[test]
fn lookups_find_what_a_new_image_has() {
    let mut policy = large();
    let (mut image, numbers) = compiled(&policy);
    for round in 0..40 {
        let new = address(3 * round + 2 + (round % 2) * MANY);
        let gone = address(3 * (7 * round + round % 3) + round % 2);
        let from = if round % 2 == 0 { "a" } else { "b" };
        let changes = [
            change(&mut policy, "b", IpNet::from(new), true),
            change(&mut policy, from, IpNet::from(gone), false),
        ];
        let after = image.patched(&policy, &numbers, &changes);
        image = after.expect("single addresses");
    }
    let (anew, _) = compiled(&policy);
    for number in 0..2 * MANY {
        let address = address(number);
        let (found, expected) = (endpoint_of(&image, address), endpoint_of(&anew, address));
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn what_is_more_than_one_entry_is_compiled_anew() {
    let mut policy = large();
    let (image, numbers) = compiled(&policy);
    for text in ["198.51.100.3/32", "203.0.113.0/24", "10.0.0.0/32"] {
        let changed = change(&mut policy, "b", text.parse().unwrap(), true);
        assert!(
            image.patched(&policy, &numbers, &[changed]).is_none(),
            "{text}"
        );
        change(&mut policy, "b", text.parse().unwrap(), false);
    }
}
