//! How mistakes reach a person and a program.

use std::fmt::Write;

use super::*;

#[test]
fn text_that_is_not_yaml_is_one_mistake() {
    for (text, line, message) in [
        ("", 1, "nothing in the file"),
        ("# only a comment\n", 2, "nothing in the file"),
        ("a: [1, 2\nb: 3\n", 2, "`:`"),
        ("a: 1\n\tb: 2\n", 2, "tab"),
        ("a: \"x\n", 1, "quotation mark"),
        ("a:\n  b: 1\n c: 2\n", 3, "align"),
        ("a: b: c\n", 1, "`:`"),
        ("a: *nobody\n", 1, "anchor"),
        ("a: 1\n---\nb: 2\n", 2, "more than one"),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:#?}");
        assert_eq!(found[0].line, line, "{text:?}: {found:#?}");
        assert!(found[0].message.contains(message), "{text:?}: {found:#?}");
    }
    let deep = format!("a: {}", "[".repeat(5000));
    assert!(mistakes(&deep)[0].message.contains("too deeply"));
}

#[test]
fn all_mistakes_are_reported_and_the_first_hundred_shown() {
    let mut text = SMALL.to_owned();
    for index in 0..150 {
        writeln!(text, "  s-{index}: {{ protocol: tpc, ports: [1] }}").unwrap();
    }
    let error = read(&text, "policy.yaml").unwrap_err();
    assert_eq!((error.mistakes().len(), error.more()), (100, 50));
    assert!(error.mistakes().is_sorted_by_key(|mistake| mistake.line));
    assert_eq!(error.mistakes()[0].line, 14);
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines[0],
        "policy.yaml:14:20: `tpc` is not a protocol. Did you mean `tcp`?"
    );
    assert_eq!(lines[100], "policy.yaml: and 50 more mistakes");
    assert_eq!(error.to_string(), "policy.yaml: 150 mistakes in the policy");
}

#[test]
fn mistakes_are_printed_with_their_source_and_as_json() {
    let text = SMALL.replace("role: bastion", "rule: bastion");
    let error = read(&text, "policy.yaml").unwrap_err();
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(json["file"], "policy.yaml");
    assert_eq!(json["mistakes"][1]["column"], 14);
    assert_eq!(json["mistakes"][1]["remedy"], "Did you mean `role`?");
    let span = &error.mistakes()[1].span;
    assert_eq!(&text[span.clone()], "rule");
    let mut printed = String::new();
    let handler =
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut printed, &error).unwrap();
    assert!(printed.contains("[policy.yaml:8:14]"), "{printed}");
    assert!(printed.contains("bastion: { rule: bastion"), "{printed}");
    assert!(printed.contains("Did you mean `role`?"), "{printed}");
}
