//! The decision about frames, in both directions.
//!
//! The first byte chooses the policy and says whether its endpoints have proven who they are and
//! whether connections are taken over; the second chooses the interface and the tag that the hook
//! reports. Frames follow, each behind two bytes in network order: the highest bit says that it
//! goes out, the next three how much time passes before it, and the others how long it is.

mod oracle;
mod table;

use std::sync::OnceLock;

use harness::judge::differential::policies;
use harness::judge::{ARRIVAL, ELSEWHERE, facts};
use manoward::{
    image::{Image, Numbers, compile},
    policy::{Authenticate, Policy},
};
use verdict::{
    counters::RULES,
    decision::{fast, full},
    frame::{ethernet, origin::Origin},
    host::Frame,
    reason::{Outcome, Verdict},
    state::clock::ticks,
};

use table::Table;

/// Frames that are judged one after another.
const FRAMES: usize = 12;
/// Seconds that may pass before a frame.
const PAUSES: [u32; 8] = [0, 0, 0, 1, 20, 60, 600, 86_400];
/// Tags that the hook may report.
const TAGS: [Option<u16>; 4] = [None, Some(0), Some(42), Some(0xe064)];

/// A policy, compiled.
struct Compiled {
    policy: Policy,
    numbers: Numbers,
    image: Image,
}

fn policies() -> &'static [Compiled] {
    static POLICIES: OnceLock<Vec<Compiled>> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let all = [
            policies::small(),
            policies::audited(),
            policies::bound(),
            policies::proven(),
            policies::open(),
            policies::places(),
        ];
        all.map(|policy| compiled(policy.expect("policies of tests have no mistakes")))
            .into()
    })
}

fn compiled(policy: Policy) -> Compiled {
    let numbers = Numbers::default().carried_to(&policy);
    let numbers = numbers.expect("there are numbers for few names");
    let image = compile(&policy, &facts(), &numbers);
    let image = image.expect("policies of tests can be compiled");
    Compiled {
        policy,
        numbers,
        image,
    }
}

/// Judges the frames in `data`.
pub fn run(data: &[u8]) {
    for_each(data, |_| {});
}

/// Judges the frames in `data` and shows every outcome.
pub fn for_each(data: &[u8], mut see: impl FnMut(Outcome)) {
    let Some((&[choice, place], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let compiled = &policies()[usize::from(choice & 7) % policies().len()];
    let ifindex = if place & 1 == 0 { ARRIVAL } else { ELSEWHERE };
    let vlan = TAGS[usize::from(place >> 1 & 3)];
    let adopting = choice & 8 != 0;
    let mut quick = table::empty(&compiled.image, adopting);
    let mut slow = table::empty(&compiled.image, adopting);
    let mut proven = choice & 16 == 0;
    for _ in 0..FRAMES {
        let Some((head, behind)) = rest.split_first_chunk() else {
            return;
        };
        let head = u16::from_be_bytes(*head);
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(head & 0xfff)));
        rest = behind;
        let frame = Frame {
            bytes,
            ifindex,
            vlan,
        };
        let pause = ticks(PAUSES[usize::from(head >> 12 & 7)]);
        if !proven {
            proven = prove(compiled, &frame, &mut [&mut quick, &mut slow]);
        }
        for table in [&mut quick, &mut slow] {
            table::wait(table, pause);
        }
        let inward = head & 0x8000 == 0;
        see(judge(compiled, &frame, inward, &quick, &slow));
    }
}

/// Gives a lease to every endpoint that needs one, at the origin of `frame`; `false` if the frame
/// cannot be parsed.
fn prove(compiled: &Compiled, frame: &Frame<'_>, tables: &mut [&mut Table<'_>]) -> bool {
    let Ok(parsed) = ethernet::parse(frame) else {
        return false;
    };
    let origin = Origin::of(frame, &parsed);
    for (name, endpoint) in &compiled.policy.endpoints {
        if endpoint.authenticate == Authenticate::Address {
            continue;
        }
        for prefix in &endpoint.addresses {
            for table in &mut *tables {
                table::grant(
                    table,
                    prefix.addr(),
                    compiled.numbers.endpoints[name],
                    origin,
                );
            }
        }
    }
    true
}

/// The outcome for `frame`, which fast path and full decision must agree on.
fn judge(
    compiled: &Compiled,
    frame: &Frame<'_>,
    inward: bool,
    quick: &Table<'_>,
    slow: &Table<'_>,
) -> Outcome {
    let image = &compiled.image;
    let (short, outcome) = if inward {
        let short = fast::inbound(frame, image, quick);
        let long = |table| full::inbound(frame, image, table);
        (short.unwrap_or_else(|_| long(quick)), long(slow))
    } else {
        let short = fast::outbound(frame, image, quick);
        let long = |table| full::outbound(frame, image, table);
        (short.unwrap_or_else(|_| long(quick)), long(slow))
    };
    assert_eq!(short, outcome, "the fast path against the full one");
    assert_eq!(
        quick.storage.flows(),
        slow.storage.flows(),
        "flows after the fast path"
    );
    assert_eq!(Outcome::from_word(outcome.0), Some(outcome));
    assert!(u32::from(outcome.rule()) < RULES);
    if outcome.verdict() == Verdict::Pass && !outcome.audited() {
        oracle::passed(&compiled.policy, frame, inward, outcome);
    }
    outcome
}
