//! Every file of the corpora, through its target.

use std::{collections::BTreeSet, fs, path::Path};

use targets::{capture, control, enrolment, packet, policy};
use verdict::reason::Reason;

/// Most bytes of all corpora.
const ALL: usize = 1 << 20;

/// The files of one corpus, in order.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(&folder).expect("the corpus is in the repository");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry of a folder").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
        .iter()
        .inspect(|path| println!("{}", path.display()))
        .map(|path| fs::read(path).expect("a file of the corpus"))
        .collect()
}

fn replay(target: &str, run: fn(&[u8])) {
    let files = corpus(target);
    assert!(files.iter().map(Vec::len).sum::<usize>() < ALL / 5);
    for file in &files {
        run(file);
    }
}

#[test]
fn policies() {
    replay("policy", policy::run);
}

#[test]
fn control_requests() {
    replay("control", control::run);
}

#[test]
fn enrolment_inputs() {
    replay("enrolment", enrolment::run);
}

#[test]
fn captures() {
    replay("capture", capture::run);
}

#[test]
fn packets_lead_to_every_reason() {
    replay("packet", packet::run);
    let mut seen = BTreeSet::new();
    for file in corpus("packet") {
        packet::for_each(&file, |outcome| {
            seen.insert(outcome.code());
        });
    }
    // A policy is always loaded, nobody has broken the glass, few frames neither fill a table nor exceed a
    // rate, and frames have a link.
    let never = [
        Reason::NoPolicy,
        Reason::BreakGlass,
        Reason::FlowTableFull,
        Reason::RateLimited,
        Reason::BindingUnseen,
    ];
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !never.contains(reason) && !seen.contains(&reason.code()))
        .collect();
    assert!(missing.is_empty(), "no file leads to {missing:?}");
}
