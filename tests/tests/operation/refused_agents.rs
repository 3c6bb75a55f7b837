//! Agents that cannot start: the reason is reported with a remedy, and enforcement is unchanged.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use harness::agent::binary;
use harness::machine::process::Output;
use harness::machine::scratch::Scratch;
use harness::net::station::HOST;
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const SHORT: Duration = Duration::from_millis(300);

/// Host and files of an agent that must fail to start.
struct Site<'a> {
    host: &'a Namespace,
    folder: Scratch,
}

impl<'a> Site<'a> {
    fn new(host: &'a Namespace) -> Result<Self> {
        let folder = Scratch::new("site")?;
        folder.write("policy.yaml", &Policy::default().to_string())?;
        Ok(Self { host, folder })
    }

    /// Starts an agent whose configuration differs in these keys.
    fn start(&self, keys: &[(&str, &Path)]) -> Result<Output> {
        let pins = Path::new("/sys/fs/bpf/site").to_owned();
        let mut config = String::new();
        for (key, usual) in [
            ("policy", self.folder.join("policy.yaml")),
            ("state", self.folder.join("state")),
            ("socket", self.folder.join("control.sock")),
            ("pins", pins),
        ] {
            let own = keys.iter().find(|(own, _)| *own == key);
            let value = own.map_or(usual.as_path(), |(_, value)| value);
            writeln!(config, "{key}: {}", value.display())?;
        }
        self.start_as(&config)
    }

    fn start_as(&self, config: &str) -> Result<Output> {
        let path = self.folder.write("agent.yaml", config)?;
        let mut command = Command::new(binary()?);
        command.arg("agent").arg("--config").arg(path);
        self.host.output(&command)
    }
}

/// Checks that the agent ended with this code, and printed all of `said`.
fn refused(output: &Output, code: i32, said: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", output.stderr);
    for part in said {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

#[test]
fn a_second_agent_is_refused_and_the_first_goes_on() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let before = agent.status()?;
    let site = Site::new(&scene.host)?;
    let output = site.start(&[("socket", &agent.socket())])?;
    refused(
        &output,
        1,
        &["already served by a live agent", "systemctl stop manoward"],
    );
    let state = agent.folder().join("state");
    let output = site.start(&[("state", &state)])?;
    let folder = state.display().to_string();
    refused(
        &output,
        1,
        &["another agent uses", &folder, "systemctl stop manoward"],
    );

    let after = agent.status()?;
    assert_eq!(
        (after.pid, after.attachments),
        (before.pid, before.attachments)
    );
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let outcome = openssh::connect(&scene.intruder, SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    Ok(())
}

#[test]
fn a_socket_that_was_left_over_is_replaced() -> Result<()> {
    let host = Namespace::new("host")?;
    host.run(&["ip", "link", "add", "eth0", "type", "veth"])?;
    let mut agent = Agent::start(&host, &Policy::default().to_string())?;
    agent.kill9();
    assert!(agent.socket().exists());
    let output = agent.cli(&["stats"])?;
    refused(&output, 4, &["nobody listens", "systemctl start manoward"]);
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(1));
    agent.stop()?;
    let output = agent.cli(&["stats"])?;
    refused(
        &output,
        4,
        &["there is no socket", "systemctl start manoward"],
    );
    Ok(())
}

#[test]
fn a_configuration_with_mistakes_is_refused() -> Result<()> {
    let host = Namespace::new("host")?;
    let site = Site::new(&host)?;
    let output = site.start_as("state: /nonexistent\nsokcet: /nonexistent\n")?;
    refused(&output, 1, &["agent.yaml", "sokcet", "line 2", "socket"]);
    let output = site.start_as("hook: ebpf\n")?;
    refused(&output, 1, &["agent.yaml", "ebpf", "xdp", "tcx"]);
    let output = site.start_as("policy: [\n")?;
    refused(&output, 1, &["agent.yaml", "line"]);
    let mut command = Command::new(binary()?);
    command.args(["agent", "--config", "/nonexistent/agent.yaml"]);
    refused(
        &host.output(&command)?,
        1,
        &["cannot read /nonexistent/agent.yaml"],
    );
    let group = format!(
        "group: no-such-group\nstate: {}\n",
        site.folder.join("s").display()
    );
    let socket = format!("{group}socket: {}\n", site.folder.join("c").display());
    let output = site.start_as(&socket)?;
    refused(&output, 1, &["no group `no-such-group`", "groupadd"]);
    Ok(())
}

#[test]
fn pins_that_cannot_be_used_are_refused() -> Result<()> {
    let host = Namespace::new("host")?;
    let site = Site::new(&host)?;
    let plain = site.folder.join("pins");
    let output = site.start(&[("pins", &plain)])?;
    refused(
        &output,
        1,
        &["not on a BPF file system", "mount -t bpf", "`pins`"],
    );

    let pins = Path::new("/sys/fs/bpf/newer");
    host.enter(|| fs::create_dir_all(pins.join("layout-999")))??;
    let output = site.start(&[("pins", pins)])?;
    refused(
        &output,
        1,
        &[
            "layout version 999",
            "manoward detach --pins /sys/fs/bpf/newer",
        ],
    );
    assert!(
        host.enter(|| pins.join("layout-999").exists())?,
        "it is left alone"
    );
    Ok(())
}

#[test]
fn a_file_where_the_socket_is_to_be_stays_what_it_is() -> Result<()> {
    let host = Namespace::new("host")?;
    let site = Site::new(&host)?;
    let precious = site.folder.write("precious", "contents")?;
    let output = site.start(&[("socket", &precious)])?;
    let path = precious.display().to_string();
    refused(&output, 1, &[&path, "is no socket", "under `socket`"]);
    assert_eq!(fs::read_to_string(&precious)?, "contents");
    Ok(())
}
