//! The policy file: from text to what the kernel reads.

use harness::judge::facts;
use manoward::{
    explain::covering,
    image::{Image, Numbers, compile},
    policy::{self, Policy, PolicyError, Validated},
};
use verdict::{
    frame::address::{Ipv4, Ipv6},
    image::{endpoint::Peer, lookup::Lookup as _},
};

/// Bytes of a policy at most: longer text reaches no other code.
const LONGEST: usize = 64 << 10;
/// Endpoints whose addresses are looked up in the image; each takes a walk through the policy.
const LOOKED_UP: usize = 32;

/// Reads `data` as a policy. An accepted one is compiled, and its endpoints must be in the image.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(LONGEST)]) else {
        return;
    };
    match policy::read(text, "policy.yaml") {
        Ok(validated) => accepted(text, &validated),
        Err(error) => refused(text, &error),
    }
}

fn accepted(text: &str, validated: &Validated) {
    let policy = &validated.policy;
    let again = policy::read(text, "policy.yaml").map(|again| again.policy);
    assert!(again.is_ok_and(|again| again == *policy), "read twice");
    assert!(policy::diff(Some(policy), policy).is_empty());
    let _ = policy::diff(None, policy);
    let _ = validated.lint(None);
    let Some(numbers) = Numbers::default().carried_to(policy) else {
        return;
    };
    if let Ok(image) = compile(policy, &facts(), &numbers) {
        found_again(policy, &numbers, &image);
    }
}

/// Every endpoint's addresses lead to it, or to one with a longer prefix.
fn found_again(policy: &Policy, numbers: &Numbers, image: &Image) {
    let prefixes = policy.endpoints.values().flat_map(|e| &e.addresses);
    for prefix in prefixes.take(LOOKED_UP) {
        for address in [prefix.network(), prefix.broadcast()] {
            let found = match address {
                std::net::IpAddr::V4(v4) => image.endpoint_ipv4(Ipv4(v4.to_bits())),
                std::net::IpAddr::V6(v6) => image.endpoint_ipv6(v6_of(v6.to_bits())),
            };
            let expected = covering(policy, address).map(|found| numbers.endpoints[found.name]);
            assert_eq!(found.ok().map(Peer::id), expected, "{address}");
        }
    }
}

const fn v6_of(bits: u128) -> Ipv6 {
    Ipv6 {
        high: (bits >> 64) as u64,
        low: bits as u64,
    }
}

/// Every mistake must have a position in the text, and be shown in every format.
fn refused(text: &str, error: &PolicyError) {
    let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
    assert!(!error.mistakes().is_empty());
    for mistake in error.mistakes() {
        assert!(mistake.line > 0 && mistake.column > 0);
        assert!(mistake.span.start <= mistake.span.end);
        assert!(shown.get(mistake.span.clone()).is_some(), "{mistake:?}");
    }
    assert!(error.lines().count() >= error.mistakes().len());
    let mut out = String::new();
    let report = miette::NarratableReportHandler::new();
    assert!(report.render_report(&mut out, error).is_ok());
    assert!(serde_json::to_string(error).is_ok());
}
