//! Who may do what over the control socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use harness::agent::{Hook, binary};
use harness::machine::namespace::argv;
use harness::machine::process::Output;
use harness::{Agent, Namespace, Policy};
use nix::unistd::Group;

/// A group that exists on every host, and has no members.
const GROUP: &str = "daemon";

/// No agent answers.
/// This needs root.
const NOT_PERMITTED: Option<i32> = Some(6);

/// Where everybody finds the binary, in the host's own `/run`.
const BINARY: &str = "/run/manoward-under-test";

/// A host with one interface, on which everybody may run the binary.
fn host() -> Result<Namespace> {
    let host = Namespace::new("host")?;
    host.run(&["ip", "link", "add", "eth0", "type", "veth"])?;
    host.run(&["touch", BINARY])?;
    let binary = binary()?;
    host.run(&["mount", "--bind", &binary.to_string_lossy(), BINARY])?;
    Ok(host)
}

/// Runs the binary as the user `nobody`, as a member of these groups.
fn as_nobody(host: &Namespace, groups: &[&str], words: &[&str]) -> Result<Output> {
    let identity = ["setpriv", "--reuid", "65534", "--regid", "65534"];
    let command = argv(&[&identity[..], groups, &[BINARY], words].concat())?;
    host.output(&command)
}

fn open_folder(agent: &Agent<'_>) -> Result<()> {
    fs::set_permissions(agent.folder(), fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[test]
fn members_of_the_group_read_and_only_root_changes() -> Result<()> {
    let host = host()?;
    let group = format!("group: {GROUP}\n");
    let policy = Policy::default().to_string();
    let agent = Agent::start_with(&host, &policy, Hook::Xdp, &group)?;
    open_folder(&agent)?;
    let gid = Group::from_name(GROUP)?.context("no such group")?.gid;
    let socket = agent.socket().to_string_lossy().into_owned();
    let next = agent.folder().join("next.yaml");
    let newer = Policy {
        serial: 2,
        ..Policy::default()
    };
    fs::write(&next, newer.to_string())?;
    let next = next.to_string_lossy();

    let groups = format!("{gid}");
    let member = |words: &[&str]| {
        let words = [&["--socket", &socket], words].concat();
        as_nobody(&host, &["--groups", &groups], &words)
    };
    for words in [
        &["status"][..],
        &["stats"],
        &["endpoints"],
        &["policy", "show"],
        &["policy", "check", &next],
        &["policy", "diff", &next],
        &[
            "explain",
            "--from",
            "192.0.2.10",
            "--to",
            "192.0.2.17",
            "--port",
            "22",
        ],
    ] {
        let output = member(words)?;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}",
            output.stderr
        );
    }
    for words in [&["policy", "apply", &next][..], &["detach", "--yes"]] {
        let output = member(words)?;
        assert_eq!(output.status.code(), NOT_PERMITTED, "{}", output.stderr);
        let told = output.stderr.contains("only root may") && output.stderr.contains("sudo");
        assert!(told, "{}", output.stderr);
    }

    let stranger = ["--socket", &socket, "status"];
    let output = as_nobody(&host, &["--clear-groups"], &stranger)?;
    assert_eq!(output.status.code(), NOT_PERMITTED, "{}", output.stderr);
    let told = output.stderr.contains("you may not open") && output.stderr.contains(GROUP);
    assert!(told, "{}", output.stderr);
    assert_eq!(agent.serial()?, Some(1));
    Ok(())
}

#[test]
fn without_a_group_only_root_connects() -> Result<()> {
    let host = host()?;
    let agent = Agent::start(&host, &Policy::default().to_string())?;
    open_folder(&agent)?;
    let mode = fs::metadata(agent.socket())?.permissions().mode() & 0o777;
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    let socket = agent.socket().to_string_lossy().into_owned();
    for words in [&["status"][..], &["stats"], &["detach", "--yes"]] {
        let words = [&["--socket", &socket], words].concat();
        let output = as_nobody(&host, &["--clear-groups"], &words)?;
        assert_eq!(output.status.code(), NOT_PERMITTED, "{}", output.stderr);
        assert!(
            output.stderr.contains("you may not open"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(agent.ingress()?.len(), 1);
    Ok(())
}

#[test]
fn the_user_nobody_can_neither_run_an_agent_nor_detach_pins() -> Result<()> {
    let host = host()?;
    let mut agent = Agent::start(&host, &Policy::default().to_string())?;
    open_folder(&agent)?;
    let config = agent.folder().join("agent.yaml");
    agent.stop()?;
    let words = ["agent", "--config", &config.to_string_lossy()];
    let output = as_nobody(&host, &["--clear-groups"], &words)?;
    assert_eq!(output.status.code(), NOT_PERMITTED, "{}", output.stderr);
    let pins = agent.pins().to_string_lossy().into_owned();
    let socket = agent.socket().to_string_lossy().into_owned();
    let words = ["--socket", &socket, "detach", "--yes", "--pins", &pins];
    let output = as_nobody(&host, &["--clear-groups"], &words)?;
    assert_eq!(output.status.code(), NOT_PERMITTED, "{}", output.stderr);
    let links = Path::new(&pins).join("links");
    assert!(host.enter(|| links.exists())?);
    Ok(())
}
