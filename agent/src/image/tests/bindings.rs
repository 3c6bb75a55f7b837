//! Roles and bindings in the records of endpoints.

use std::collections::BTreeMap;

use verdict::{
    frame::ethernet,
    image::{endpoint::Record, header::Header},
    reason::Reason,
};

use super::{
    super::{Facts, Image, Numbers, compile},
    read,
};
use verdict::host::Frame;

fn facts() -> Facts {
    Facts {
        arrivals: BTreeMap::from([
            ("eth0".to_owned(), vec![2]),
            ("bond0".to_owned(), (10..26).collect()),
        ]),
        ..Facts::default()
    }
}

/// The image of endpoints `vim-1`, `vim-2`, ... with these bindings.
fn bound(bindings: &[&str]) -> (Image, Numbers) {
    let endpoints: Vec<String> = (1..)
        .zip(bindings)
        .map(|(n, binding)| {
            format!("  vim-{n}: {{ role: vim, addresses: [192.0.2.{n}]{binding} }}\n")
        })
        .collect();
    let policy = read(&format!(
        "endpoints:\n{}reference_points: {{}}",
        endpoints.concat()
    ));
    let numbers = Numbers::default().carried_to(&policy).expect("few names");
    let image = compile(&policy, &facts(), &numbers).expect("a small policy");
    (image, numbers)
}

/// The check of the bindings of `endpoint` for a frame from `mac` with these tags on `ifindex`.
fn check(
    (image, numbers): &(Image, Numbers),
    endpoint: &str,
    mac: [u8; 6],
    tags: &[u16],
    ifindex: u32,
) -> Result<(), Reason> {
    let mut bytes = [&[0; 6][..], &mac].concat();
    for id in tags {
        bytes.extend([0x81, 0]);
        bytes.extend(id.to_be_bytes());
    }
    bytes.extend([8, 0]);
    let packet = Frame {
        bytes: &bytes,
        ifindex,
        vlan: None,
    };
    let header = Header::of(image).expect("a header");
    let id = numbers.endpoints[endpoint];
    let record = Record::read(image, header, id).expect("a record");
    record.check(&packet, image, &ethernet::parse(&packet)?)
}

const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0xbb, 1];

#[test]
fn each_endpoint_has_its_own() {
    let image = bound(&[
        "",
        ", mac: \"52:54:00:aa:bb:01\"",
        ", vlan: 42",
        ", vlan: untagged",
        ", vlan: \"200.100\"",
        ", interface: eth0",
        ", interface: bond0",
        ", mac: \"52:54:00:aa:bb:01\", vlan: 42, interface: bond0",
    ]);
    let check = |endpoint: u8, mac, tags: &[u16], ifindex| {
        check(&image, &format!("vim-{endpoint}"), mac, tags, ifindex)
    };
    let foreign = [2; 6];
    assert_eq!(check(1, foreign, &[9], 99), Ok(()));
    assert_eq!(check(2, MAC, &[9], 99), Ok(()));
    assert_eq!(check(2, foreign, &[], 2), Err(Reason::WrongMac));
    assert_eq!(check(3, foreign, &[42], 99), Ok(()));
    assert_eq!(check(3, foreign, &[], 99), Err(Reason::WrongVlan));
    assert_eq!(check(4, foreign, &[0], 99), Ok(()));
    assert_eq!(check(4, foreign, &[42], 99), Err(Reason::WrongVlan));
    assert_eq!(check(5, foreign, &[200, 100], 99), Ok(()));
    assert_eq!(check(5, foreign, &[100, 200], 99), Err(Reason::WrongVlan));
    assert_eq!(check(6, foreign, &[], 2), Ok(()));
    assert_eq!(check(6, foreign, &[], 10), Err(Reason::WrongInterface));
    for ifindex in 0..40 {
        let expected = match ifindex {
            10..26 => Ok(()),
            _ => Err(Reason::WrongInterface),
        };
        assert_eq!(check(7, foreign, &[], ifindex), expected, "{ifindex}");
    }
    assert_eq!(check(8, MAC, &[42], 25), Ok(()));
    assert_eq!(check(8, MAC, &[42], 2), Err(Reason::WrongInterface));
}

#[test]
fn five_hundred_records_lie_under_their_numbers() {
    let bindings: Vec<String> = (0..250).map(|n| format!(", vlan: {}", n + 1)).collect();
    let image = bound(&bindings.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 1..=250_u16 {
        let endpoint = format!("vim-{n}");
        assert_eq!(check(&image, &endpoint, MAC, &[n], 1), Ok(()));
        let next = check(&image, &endpoint, MAC, &[n + 1], 1);
        assert_eq!(next, Err(Reason::WrongVlan));
    }
}
