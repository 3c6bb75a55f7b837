//! A user who may read, and asks for more than anybody needs.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::agent::{Hook, binary};
use harness::machine::wait;
use harness::net::station::NIC;
use harness::programs::readers::{GROUP, Reader};
use harness::scene::watch::Watch;
use harness::{Agent, Namespace, Policy, Topology};

use super::PATIENCE;

/// Length of the policies that are sent to be checked, bytes.
const LONG: usize = 17 << 20;

/// How much longer than without attackers a new address of the host may stay open, and an answer may take: they
/// take the processors, too.
const MOMENT: Duration = Duration::from_secs(3);

/// Memory and descriptors that the agent may take more than before. Each thread keeps what one request takes.
const MEMORY_KB: u64 = 128 << 10;
const DESCRIPTORS: usize = 40;

const BINARY: &str = "/run/manoward-of-readers";

/// How long it takes until an address that the host gets is protected.
fn protected_after(agent: &Agent<'_>, host: &Namespace, address: Ipv4Addr) -> Result<Duration> {
    let new = format!("{address}/24");
    host.run(&["ip", "address", "add", &new, "dev", NIC])?;
    let since = Instant::now();
    wait::until(&true, PATIENCE, || {
        Ok(agent.status()?.protected.contains(&IpAddr::from(address)))
    })?;
    Ok(since.elapsed())
}

#[test]
fn readers_that_ask_for_everything_keep_nobody_waiting() -> Result<()> {
    let scene = Topology::new()?;
    let host = &scene.host;
    let group = format!("group: {GROUP}\n");
    let policy = Policy::default().to_string();
    let agent = Agent::start_with(host, &policy, Hook::Xdp, &group)?;
    host.run(&["touch", BINARY])?;
    host.run(&["mount", "--bind", &binary()?.to_string_lossy(), BINARY])?;
    fs::set_permissions(agent.folder(), fs::Permissions::from_mode(0o755))?;
    let long = agent.folder().join("long.json");
    let text = "x".repeat(LONG);
    fs::write(&long, format!("{{\"text\":\"{text}\",\"file\":\"x\"}}"))?;
    fs::set_permissions(&long, fs::Permissions::from_mode(0o644))?;
    // As long as a reader's may be, and as much work.
    let short = agent.folder().join("short.json");
    let mut text = "apiVersion: manoward/v1\\nname: h\\nserial: 9\\nendpoints:\\n".to_owned();
    for n in 0..9_000 {
        let address = format!("\\\"2001:db8::{n:x}\\\"");
        write!(text, "  e-{n}: {{ role: vim, addresses: [{address}] }}\\n")?;
    }
    fs::write(&short, format!("{{\"text\":\"{text}\",\"file\":\"x\"}}"))?;
    fs::set_permissions(&short, fs::Permissions::from_mode(0o644))?;

    let watch = Watch::begin(&scene)?;
    let usual = protected_after(&agent, host, Ipv4Addr::new(192, 0, 2, 29))?;
    let (memory, open) = (agent.memory_kb()?, agent.descriptors()?);
    let attacker = Reader { host, uid: 65_534 };
    let (long, short) = (long.to_string_lossy(), short.to_string_lossy());
    let socket = agent.socket();
    let attacks: Vec<_> = [
        &["check", &*long][..],
        &["check", &long],
        &["check", &long],
        &["check", &short],
        &["check", &short],
        &["slowly", "200"],
        &["connect"],
    ]
    .into_iter()
    .map(|words| attacker.attack(&socket, words))
    .collect::<Result<_>>()?;

    let socket = socket.to_string_lossy().into_owned();
    let other = Reader { host, uid: 65_533 };
    for last in 30..32 {
        thread::sleep(Duration::from_millis(500));
        let protected = protected_after(&agent, host, Ipv4Addr::new(192, 0, 2, last))?;
        ensure!(
            protected < usual + MOMENT,
            "{protected:?}, {usual:?} before"
        );
        let since = Instant::now();
        let told = other.run(BINARY, &["--socket", &socket, "status"])?;
        ensure!(told.status.success(), "another reader: {}", told.stderr);
        ensure!(since.elapsed() < MOMENT, "it took {:?}", since.elapsed());
        println!(
            "protected after {protected:?}, told after {:?}",
            since.elapsed()
        );
        let (now, descriptors) = (agent.memory_kb()?, agent.descriptors()?);
        ensure!(now < memory + MEMORY_KB, "from {memory} to {now} kB");
        ensure!(
            descriptors < open + DESCRIPTORS,
            "from {open} to {descriptors} descriptors"
        );
    }
    watch.check()?;
    // A policy that a reader may not send is refused with what to do.
    let check = ["--socket", &socket, "policy", "check", &long];
    let refused = other.run(BINARY, &check)?;
    ensure!(refused.status.code() == Some(6), "{refused:?}");
    ensure!(refused.stderr.contains("sudo"), "{}", refused.stderr);
    drop(attacks);
    wait::until(&true, PATIENCE, || Ok(agent.descriptors()? < open + 8))?;
    watch.end()
}
