use std::fs;

use super::*;

fn entry(serial: u64, event: Event) -> Entry {
    Entry {
        number: 0,
        time: "2026-01-01T00:00:00Z".into(),
        event,
        serial,
        digest: hash(&format!("serial: {serial}\n")),
        file: "policy.yaml".into(),
        confirm_within: None,
        restores: None,
        door: None,
        message: Some("why".into()),
        who: None,
        before: String::new(),
    }
}

/// A history of three lines, and its folder.
fn history() -> (tempfile::TempDir, History) {
    let folder = tempfile::tempdir().expect("a directory");
    let history = History::new(folder.path().join("history.jsonl"));
    for serial in 1..=3 {
        let _ = history.add(entry(serial, Event::Applied)).expect("add");
    }
    (folder, history)
}

#[test]
fn what_was_added_is_read_and_holds() {
    let (_folder, history) = history();
    let entries = history.entries().expect("read");
    let serials: Vec<_> = entries
        .iter()
        .map(|entry| (entry.number, entry.serial))
        .collect();
    assert_eq!(serials, [(1, 1), (2, 2), (3, 3)]);
    let text = fs::read_to_string(history.path()).expect("read");
    let last = hash(text.lines().last().expect("three lines"));
    assert_eq!(history.verify().expect("read"), Ok((3, last)));
}

#[test]
fn every_change_of_a_line_shows() {
    let (_folder, history) = history();
    let text = fs::read_to_string(history.path()).expect("read");
    let lines: Vec<&str> = text.lines().collect();
    let changed = lines[0].replace("why", "who");
    for tampered in [
        [changed.as_str(), lines[1], lines[2]].join("\n"),
        [lines[1], lines[0], lines[2]].join("\n"),
        [lines[0], lines[2]].join("\n"),
        [lines[1], lines[2]].join("\n"),
        [lines[0], "{}", lines[2]].join("\n"),
    ] {
        fs::write(history.path(), tampered + "\n").expect("write");
        let verified = history.verify().expect("read");
        assert!(verified.is_err(), "{verified:?}");
    }
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let (_folder, history) = history();
    let text = fs::read_to_string(history.path()).expect("read");
    for torn in 1..text.lines().last().expect("a line").len() {
        fs::write(history.path(), &text[..text.len() - torn]).expect("write");
        assert_eq!(history.entries().expect("read").len(), 2);
        let _ = history.add(entry(4, Event::Tried)).expect("add");
        let entries = history.entries().expect("read");
        assert_eq!(entries.last().map(|entry| entry.number), Some(3));
        assert!(history.verify().expect("read").is_ok());
    }
}

#[test]
fn what_was_added_can_be_taken_back() {
    let (_folder, history) = history();
    let before = fs::read(history.path()).expect("read");
    let added = history.add(entry(4, Event::Tried)).expect("add");
    history.take_back(&added).expect("take back");
    assert_eq!(fs::read(history.path()).expect("read"), before);
}

#[test]
fn the_last_word_about_a_policy_counts() {
    let (_folder, history) = history();
    let identity = Identity {
        serial: 3,
        digest: super::super::digest("serial: 3\n"),
    };
    let event = |history: &History| {
        let last = history.last_about(identity).expect("read");
        last.map(|entry| entry.event)
    };
    assert_eq!(event(&history), Some(Event::Applied));
    let _ = history.add(entry(3, Event::Lapsed)).expect("add");
    assert_eq!(event(&history), Some(Event::Lapsed));
    let other = Identity {
        serial: 9,
        ..identity
    };
    assert_eq!(history.last_about(other).expect("read"), None);
}
