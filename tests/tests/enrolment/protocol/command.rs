//! `manoward join` on the command line.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use harness::agent::binary;
use manoward::enrolment::End;
use nix::sys::signal::Signal;
use rcgen::ExtendedKeyUsagePurpose;
use time::{Duration, OffsetDateTime};

use super::{
    authority::{DAY, Issued, Profile},
    testbed::{Testbed, VIM, until},
};

fn manoward(bed: &Testbed, issued: &Issued, more: &str) -> Command {
    let mut command = Command::new(binary().unwrap());
    command
        .args(["join", "--to", &bed.address.to_string()])
        .arg("--cert")
        .arg(&issued.certificate)
        .arg("--key")
        .arg(&issued.key)
        .arg("--ca")
        .arg(&bed.authority.file)
        .args(more.split_whitespace());
    command
}

async fn output(mut command: Command) -> (Output, String) {
    let run = move || command.output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

async fn check(bed: &Testbed, issued: &Issued) -> (Option<i32>, String) {
    fs::set_permissions(&issued.key, fs::Permissions::from_mode(0o600)).unwrap();
    let (output, text) = output(manoward(bed, issued, "--once --check")).await;
    (output.status.code(), text)
}

#[tokio::test]
async fn a_check_without_findings() {
    let bed = Testbed::new();
    let (code, text) = check(&bed, &bed.vim()).await;
    let expected = format!(
        "{}: admitted as vim-1, role vim\nadmitted by 1 of 1 host\n",
        bed.address
    );
    assert_eq!((code, text), (Some(0), expected));
}

#[tokio::test]
async fn a_check_as_json() {
    let bed = Testbed::new();
    let command = manoward(&bed, &bed.vim(), "--once --check --output json");
    let (output, text) = output(command).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["granted"], 1);
    assert_eq!(report["hosts"][0]["state"], "granted");
    assert_eq!(report["certificate"]["identities"][0], VIM);
    assert_eq!(report["files"][0]["code"], "key-readable", "{text}");
}

#[tokio::test]
async fn problems_of_a_certificate_are_reported() {
    let bed = Testbed::new();
    let now = OffsetDateTime::now_utc();
    let profile = || Profile::endpoint(VIM);
    for (profile, code, sentence, answer) in [
        (
            profile().valid(now - DAY, now - Duration::HOUR),
            "error[expired]",
            "Get a new one, or set the clock",
            "it expired at",
        ),
        (
            profile().valid(now + Duration::HOUR, now + DAY),
            "error[not-yet-valid]",
            "Compare the clocks",
            "it is valid from",
        ),
        (
            profile().usage(&[ExtendedKeyUsagePurpose::ServerAuth]),
            "error[wrong-usage]",
            "does not include clientAuth",
            "does not include clientAuth",
        ),
        (
            profile().sans(&[]),
            "error[no-san]",
            "no URI and no DNS name",
            "refused (no-matching-identity)",
        ),
    ] {
        let issued = bed.authority.issue("vim", &profile);
        let (exit, text) = check(&bed, &issued).await;
        assert_eq!(exit, Some(1), "{text}");
        let lines: Vec<_> = text.lines().collect();
        let [finding, host, end] = lines.as_slice() else {
            panic!("{text}");
        };
        assert!(
            finding.starts_with(code) && finding.contains(sentence),
            "{text}"
        );
        assert!(
            finding.contains(&issued.certificate.display().to_string()),
            "{text}"
        );
        assert!(
            host.contains(&bed.address.to_string()) && host.contains(answer),
            "{text}"
        );
        assert_eq!(*end, "admitted by 0 of 1 host");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_reported() {
    let bed = Testbed::new();
    let other = bed.authority.issue("other", &Profile::endpoint(VIM));
    let mixed = Issued {
        key: other.key,
        ..bed.vim()
    };
    let (code, text) = check(&bed, &mixed).await;
    assert_eq!(code, Some(1));
    assert!(text.starts_with("error[key-mismatch]: the key "), "{text}");
    assert!(
        text.ends_with("no host was asked, as the files cannot be used\n"),
        "{text}"
    );
}

#[tokio::test]
async fn unusable_files_are_reported() {
    let bed = Testbed::new();
    let issued = bed.vim();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(&issued.key, encrypted).unwrap();
    let (_, text) = check(&bed, &issued).await;
    assert!(text.contains("Remove the passphrase"), "{text}");
    fs::write(&issued.certificate, "nothing").unwrap();
    let (_, text) = check(&bed, &issued).await;
    assert!(
        text.contains("contains no certificate in PEM form"),
        "{text}"
    );
    let absent = Issued {
        certificate: bed.path("absent.crt"),
        ..issued
    };
    let (code, text) = check(&bed, &absent).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("absent.crt: No such file"), "{text}");
    assert!(text.contains("Check the path"), "{text}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_reported() {
    let mut bed = Testbed::new();
    let vim = bed.vim();
    bed.server.take().unwrap().shutdown().await;
    let (code, text) = check(&bed, &vim).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("failed: no answer from "), "{text}");
    assert!(text.contains("routes and firewalls let UDP port"), "{text}");
}

#[tokio::test]
async fn a_service_joins_follows_its_files_and_leaves() {
    let bed = Testbed::new();
    let vim = bed.vim();
    let file = bed.path("status.json");
    let more = format!("--status-file {}", file.display());
    let mut child = manoward(&bed, &vim, &more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    until("it joins", || bed.server().counts().sessions == 1).await;
    let line = lines.next().unwrap().unwrap();
    assert!(line.ends_with("admitted as vim-1, role vim"), "{line}");
    let granted = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        status["granted"] == 1 && status["hosts"][0]["endpoint"] == "vim-1"
    };
    until("the status says so", granted).await;
    bed.vim();
    until("the new certificate is used", || {
        bed.recorder.ends().len() == 1
    })
    .await;
    assert_eq!(bed.recorder.fewest(), 1);
    let signal = |signal| {
        let child = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(child, signal).unwrap();
    };
    signal(Signal::SIGHUP);
    until("files are read again", || bed.recorder.ends().len() == 2).await;
    assert_eq!(bed.recorder.fewest(), 1);
    signal(Signal::SIGTERM);
    until("it leaves", || bed.recorder.ends().len() == 3).await;
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(bed.recorder.ends(), [End::Closed, End::Closed, End::Closed]);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named_without_a_check_too() {
    let bed = Testbed::new();
    let absent = Issued {
        key: bed.path("absent.key"),
        ..bed.vim()
    };
    for more in ["--once", ""] {
        let (output, _) = output(manoward(&bed, &absent, more)).await;
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("error: cannot read "), "{errors}");
        assert!(errors.contains("absent.key: No such file"), "{errors}");
        assert!(!errors.contains("sudo"), "{errors}");
    }
}
