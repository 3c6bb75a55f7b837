use anstream::adapter::strip_str;
use manoward::enforcer::Review;

use manoward_api::Candidate;

use super::*;

const TEXT: &str = "apiVersion: manoward/v1\nname: x\nserial: many\ninterfaces: [eth0]\n";

const VALID: &str = "apiVersion: manoward/v1
name: x
serial: 1
interfaces: [eth0]
protect: [interface-addresses]
endpoints: { a: { role: r, addresses: [192.0.2.1] } }
reference_points: { p: { from: [r], services: [ssh] } }
";

fn candidate(text: &str) -> Given {
    Candidate {
        text: text.into(),
        file: "p.yaml".into(),
        ..Candidate::default()
    }
    .into()
}

fn report(text: &str) -> Report {
    let error = policy::read(text, "p.yaml").unwrap_err();
    Review::from(&error).into()
}

fn shown(text: &str, report: &Report, look: Look) -> String {
    let mut out = Vec::new();
    mistakes(&mut out, &candidate(text), report, look).unwrap();
    strip_str(str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn lines_are_those_of_the_policy_error() {
    let error = policy::read(TEXT, "p.yaml").unwrap_err();
    let expected: Vec<String> = error.lines().collect();
    let text = shown(TEXT, &report(TEXT), Look::Lines);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_terminal_sees_the_lines_of_the_file() {
    let text = shown(TEXT, &report(TEXT), Look::Drawn(80));
    assert!(text.contains("serial: many"), "{text}");
    assert!(text.contains("p.yaml:3:9"), "{text}");
}

#[test]
fn what_only_the_agent_finds_is_pointed_at_too() {
    let text = VALID;
    assert!(policy::read(text, "p.yaml").is_ok());
    let start = text.find("eth0").unwrap();
    let mistake = Mistake {
        file: None,
        line: 4,
        column: 14,
        span: start..start + 4,
        message: "this host has no interface `eth0`".into(),
        remedy: "Correct it.".into(),
    };
    let report = Report {
        valid: false,
        mistakes: vec![mistake],
        mistake_count: 3,
        lints: Vec::new(),
        apply_refuses: Vec::new(),
    };
    let drawn = shown(text, &report, Look::Drawn(80));
    assert!(drawn.contains("interfaces: [eth0]"), "{drawn}");
    let lines = shown(text, &report, Look::Lines);
    assert_eq!(
        lines,
        "p.yaml:4:14: this host has no interface `eth0`. Correct it.\n\
         p.yaml: and 2 more mistakes\n"
    );
}

#[test]
fn remarks_name_place_and_code() {
    let lint: Lint = serde_json::from_value(serde_json::json!({
        "code": "plaintext-service", "object": "reference-point", "subject": "m",
        "message": "`amqp` is plaintext", "remedy": "Use `amqps`.", "line": 7, "column": 3,
    }))
    .unwrap();
    let mut out = Vec::new();
    lints(&mut out, "p.yaml", &[lint], Look::Lines).unwrap();
    assert_eq!(
        str::from_utf8(&out).unwrap(),
        "p.yaml:7:3: warning[plaintext-service]: `amqp` is plaintext. Use `amqps`.\n"
    );
}

#[test]
fn what_concerns_the_whole_file_points_nowhere() {
    let mistake = Mistake {
        file: None,
        line: 1,
        column: 1,
        span: 0..0,
        message: "serial 7 is in force".into(),
        remedy: "Give it a higher one".into(),
    };
    let report = Report {
        valid: false,
        mistakes: vec![mistake],
        mistake_count: 1,
        lints: Vec::new(),
        apply_refuses: Vec::new(),
    };
    assert_eq!(
        shown(VALID, &report, Look::Drawn(80)),
        "error: p.yaml\n  Serial 7 is in force.\n  Give it a higher one.\n\n"
    );
}
