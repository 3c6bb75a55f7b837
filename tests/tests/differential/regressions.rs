//! Frames about which host and kernel disagreed once, or that bypassed the policy.

use anyhow::{Result, ensure};
use harness::judge::{Judges, facts};
use verdict::reason::Reason;

use harness::judge::differential::policies;

/// Name, frame in hexadecimal, and what becomes of it under the small policy.
const FRAMES: [(&str, &str, Reason); 5] = [
    (
        "from 0.0.0.0 to 0.0.0.0, which Linux delivers like a broadcast",
        "ffffffffffff 525400aabb66 0800
         45000020 00000000 4011baca 00000000 00000000
         1b581b58 000c0000 00000000",
        Reason::UnknownSource,
    ),
    (
        "to 127.0.0.17, which Linux delivers where `route_localnet` is set",
        "525400aabb17 525400aabb66 0800
         45000020 00000000 40113875 c0000242 7f000011
         1b581b58 000c0000 00000000",
        Reason::LoopbackAddress,
    ),
    (
        "ICMP unreachable, whose quotation lies behind the end of the datagram",
        "525400aabb17 525400aabb66 0800
         45000030 00000000 40010000 c0000242 c0000211
         03030000 00000000
         45000020 00000000 40110000 c0000211 c000020a
         1b58c000 000c0000",
        Reason::IcmpUnrelated,
    ),
    (
        "ICMP needs fragmentation, where a service covers ICMP",
        "525400aabb17 525400aabb66 0800
         4500001c 00000000 40010000 cb007101 c0000211
         0304fc83 00000578",
        Reason::IcmpUnrelated,
    ),
    (
        "ICMPv6 packet too big, where a service covers ICMPv6",
        "525400aabb17 525400aabb66 86dd
         60000000 00083a40 20010db8011300000000000000000001 20010db8000000170000000000000017
         02000000 00000578",
        Reason::IcmpUnrelated,
    ),
];

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

#[test]
fn past_findings_are_judged_right() -> Result<()> {
    let mut judges = Judges::with(&policies::small()?, &facts())?;
    for (name, hex, expected) in FRAMES {
        let outcome = judges.outcome(&bytes(hex)?)?;
        ensure!(outcome.reason() == expected, "{name}: {outcome:?}");
    }
    Ok(())
}
