//! The classic mistakes, each made from a real SSH session with a policy on trial: the host is never out
//! of reach, nor cut from what it needs, for longer than the time within which it was to be confirmed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::machine::wait;
use harness::net::station::{BASTION, HOST, HOST_OPERATIONS, VIM};
use harness::programs::openssh::{self, Sshd};
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
/// The shortest trial.
const TERM: Duration = Duration::from_secs(3);
/// What finding out takes, on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

/// An operator whom the host reaches over its default route only.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const DNS: u16 = 53;

const ENDPOINTS: &str = "{
  bastion: { role: bastion, addresses: [198.51.100.0/28] },
  far: { role: bastion, addresses: [198.18.0.0/24] },
  resolver: { role: resolver, addresses: [192.0.2.10] } }";
const POINTS: &str = "{
  operations: { from: [bastion], services: [ssh] },
  names: { to: [resolver], services: [dns] } }";

fn policy(serial: u64) -> Policy<'static> {
    Policy {
        serial,
        endpoints: ENDPOINTS,
        reference_points: POINTS,
        ..Policy::default()
    }
}

/// What goes wrong after the policy was applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    Nothing,
    AgentKilled,
    /// The agent is killed, and the service manager starts it again.
    AgentRestarted,
    TerminalClosed,
    FileDeleted,
    /// As far as a namespace can: agent and programs are gone, and the agent starts with the file.
    HostRestarted,
}

/// What of the host is out of reach for a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hurts {
    /// Nothing: the policy is refused, or does no harm.
    Nothing,
    Near,
    Far,
    Names,
}

struct Mistake {
    name: &'static str,
    policy: Policy<'static>,
    then: Then,
    hurts: Hurts,
}

fn mistakes() -> Vec<Mistake> {
    let mistake = |name, policy, then, hurts| Mistake {
        name,
        policy,
        then,
        hurts,
    };
    let with = |endpoints, reference_points| Policy {
        endpoints,
        reference_points,
        ..policy(2)
    };
    let on = |interfaces| Policy {
        interfaces,
        ..policy(2)
    };
    let shut_out = "{ bastion: { role: bastion, addresses: [198.51.100.64/28] },
                      resolver: { role: resolver, addresses: [192.0.2.10] } }";
    let wrong = || with(shut_out, POINTS);
    let role_removed = "{ other: { from: [resolver], services: [ssh] },
                          names: { to: [resolver], services: [dns] } }";
    let wrong_mac = "{ bastion: { role: bastion, addresses: [198.51.100.0/28],
                                  mac: \"52:54:00:00:00:01\" },
                       resolver: { role: resolver, addresses: [192.0.2.10] } }";
    let without_far = "{ bastion: { role: bastion, addresses: [198.51.100.0/28] },
                         resolver: { role: resolver, addresses: [192.0.2.10] } }";
    let without_names = "{ operations: { from: [bastion], services: [ssh] } }";
    vec![
        mistake("wrong prefix", wrong(), Then::Nothing, Hurts::Near),
        mistake(
            "own role removed",
            with(ENDPOINTS, role_removed),
            Then::Nothing,
            Hurts::Near,
        ),
        mistake(
            "binding to the wrong MAC address",
            with(wrong_mac, POINTS),
            Then::Nothing,
            Hurts::Near,
        ),
        mistake(
            "interface that is not there",
            on("[eth1]"),
            Then::Nothing,
            Hurts::Nothing,
        ),
        // The inner door judges what comes over the right one.
        mistake(
            "interface misnamed",
            on("[vnet0]"),
            Then::Nothing,
            Hurts::Nothing,
        ),
        mistake(
            "endpoint bound to the wrong interface",
            with(
                "{ bastion: { role: bastion, addresses: [198.51.100.0/28], interface: vnet0 },
                   resolver: { role: resolver, addresses: [192.0.2.10] } }",
                POINTS,
            ),
            Then::Nothing,
            Hurts::Near,
        ),
        mistake(
            "peer behind the default route forgotten",
            with(without_far, POINTS),
            Then::Nothing,
            Hurts::Far,
        ),
        mistake(
            "outbound DNS forgotten",
            with(ENDPOINTS, without_names),
            Then::Nothing,
            Hurts::Names,
        ),
        mistake("agent killed", wrong(), Then::AgentKilled, Hurts::Near),
        mistake(
            "agent restarted",
            wrong(),
            Then::AgentRestarted,
            Hurts::Near,
        ),
        mistake(
            "terminal closed",
            wrong(),
            Then::TerminalClosed,
            Hurts::Near,
        ),
        mistake("file deleted", wrong(), Then::FileDeleted, Hurts::Near),
        // What was to be confirmed is not enforced again.
        mistake(
            "host restarted",
            wrong(),
            Then::HostRestarted,
            Hurts::Nothing,
        ),
    ]
}

#[test]
fn no_mistake_keeps_the_host_out_of_reach() -> Result<()> {
    let scene = Topology::new()?;
    route(&scene)?;
    let mut agent = Agent::start(&scene.host, &policy(1).to_string())?;
    let sshd = Sshd::start(&scene.host)?;
    let over = AtomicBool::new(false);
    let resolver = scene.vim.udp((VIM.v4, DNS), SHORT)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let mut query = [0; 64];
                if let Ok((length, from)) = resolver.recv_from(&mut query) {
                    let _ = resolver.send_to(&query[..length], from);
                }
            }
        });
        let made = (2..).zip(mistakes()).try_for_each(|(serial, mistake)| {
            let policy = Policy {
                serial,
                ..mistake.policy
            };
            make(
                &scene,
                &mut agent,
                &sshd,
                &policy,
                (mistake.then, mistake.hurts),
            )
            .with_context(|| mistake.name)
        });
        over.store(true, Ordering::Relaxed);
        made
    })
}

/// Has the host reach [`FAR`], an address of the bastion, by its default route through the VIM.
fn route(scene: &Topology) -> Result<()> {
    let (host, vim, far) = (HOST.v4.to_string(), VIM.v4.to_string(), FAR.to_string());
    let bastion = BASTION.v4.to_string();
    for interface in ["all", "eth0"] {
        let key = format!("net/ipv4/conf/{interface}/send_redirects");
        scene.vim.sysctl(&key, "0")?;
    }
    scene.vim.sysctl("net/ipv4/ip_forward", "1")?;
    scene
        .vim
        .run(&["ip", "route", "add", &bastion, "dev", "eth0"])?;
    scene
        .vim
        .run(&["ip", "route", "add", &far, "via", &bastion])?;
    scene
        .bastion
        .run(&["ip", "address", "add", &format!("{far}/32"), "dev", "lo"])?;
    scene
        .bastion
        .run(&["ip", "route", "add", &vim, "dev", "eth0"])?;
    scene
        .bastion
        .run(&["ip", "route", "add", &host, "via", &vim, "src", &far])?;
    scene
        .host
        .run(&["ip", "route", "add", "default", "via", &vim])?;
    Ok(())
}

/// What reached whom at one time.
struct Probe {
    begun: Instant,
    near: bool,
    far: bool,
    names: bool,
}

impl Probe {
    fn take(scene: &Topology) -> Result<Self> {
        let begun = Instant::now();
        let ssh = |to: Ipv4Addr| {
            let outcome = scene.bastion.tcp_connect((to, openssh::PORT), SHORT)?;
            Ok::<_, anyhow::Error>(outcome == Outcome::Connected)
        };
        Ok(Self {
            begun,
            near: ssh(HOST_OPERATIONS.v4)?,
            far: ssh(HOST.v4)?,
            names: answers(&scene.host)?,
        })
    }

    const fn all(&self) -> bool {
        self.near && self.far && self.names
    }

    /// Whether it shows what was to be shown.
    const fn shows(&self, hurts: Hurts) -> bool {
        match hurts {
            Hurts::Nothing => true,
            Hurts::Near => !self.near && self.names,
            Hurts::Far => self.near && !self.far,
            Hurts::Names => self.near && self.far && !self.names,
        }
    }
}

/// Whether the resolver answers the host.
fn answers(host: &Namespace) -> Result<bool> {
    let query = host.udp((HOST.v4, 0), SHORT)?;
    let resolver = SocketAddr::from((VIM.v4, DNS));
    // What the policy refuses is refused where it is sent, too.
    let sent = query.send_to(b"query", resolver);
    Ok(sent.is_ok() && query.recv_from(&mut [0; 64]).is_ok())
}

/// Makes one mistake in a session, and looks for how long nobody gets in, or nothing gets out.
fn make(
    scene: &Topology,
    agent: &mut Agent<'_>,
    sshd: &Sshd,
    policy: &Policy<'_>,
    (then, hurts): (Then, Hurts),
) -> Result<()> {
    let path = agent.folder().join("policy.yaml");
    fs::write(&path, policy.to_string())?;
    let path_text = path.to_string_lossy().into_owned();
    let words = [
        "policy",
        "apply",
        "--force",
        "--confirm-within",
        "3s",
        &path_text,
    ];
    let apply = format!("{:?}", agent.command(&words)?).replace('"', "");
    let stays = format!("echo here; {apply} 2>&1; echo ended $?; sleep 60");
    let target = match hurts {
        Hurts::Far => HOST.v4,
        _ => HOST_OPERATIONS.v4,
    };
    let mut session = sshd.session(&scene.bastion, target, &stays)?;
    session.wait_for("here", PATIENCE)?;
    // The answer may not come any more: the policy has cut the session.
    let answered = wait::until(&true, PATIENCE, || {
        Ok(agent.serial()? == Some(policy.serial) || session.stdout().contains("ended"))
    });
    answered.context("the policy was applied, or refused")?;
    let applied = Instant::now();
    let over = AtomicBool::new(false);
    let probes = thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let mut probes = vec![Probe::take(scene)?];
            while !over.load(Ordering::Relaxed) {
                probes.push(Probe::take(scene)?);
                thread::sleep(SHORT / 6);
            }
            Ok::<_, anyhow::Error>(probes)
        });
        let happened = happen(scene, agent, &mut session, &path, then);
        thread::sleep((TERM + SLACK + 2 * SHORT).saturating_sub(applied.elapsed()));
        over.store(true, Ordering::Relaxed);
        let probes = probing.join().expect("probing does not panic");
        happened.and(probes)
    })?;
    let mut failed = probes.iter().filter(|probe| !probe.all());
    let last = failed
        .next_back()
        .map(|probe| probe.begun.duration_since(applied));
    ensure!(
        last.is_none_or(|last| last <= TERM + SLACK),
        "out of reach {last:?} after the policy was applied"
    );
    let shown = probes.iter().any(|probe| probe.shows(hurts));
    ensure!(shown, "the mistake does no harm");
    if hurts == Hurts::Nothing {
        // Until the host goes down, the policy is in force.
        ensure!(
            last.is_none_or(|last| last <= SHORT),
            "out of reach {last:?} after the policy was applied"
        );
    }
    if then == Then::AgentKilled {
        agent.restart()?;
    }
    sshd.login(&scene.bastion, HOST_OPERATIONS.v4, "true")?
        .succeeded()?;
    wait::until(&Some(1), PATIENCE, || agent.serial())?;
    Ok(())
}

fn happen(
    scene: &Topology,
    agent: &mut Agent<'_>,
    session: &mut harness::machine::process::Process,
    path: &std::path::Path,
    then: Then,
) -> Result<()> {
    match then {
        Then::Nothing => {}
        Then::AgentKilled => agent.kill9(),
        Then::AgentRestarted => {
            agent.kill9();
            agent.restart()?;
        }
        Then::TerminalClosed => session.kill(),
        Then::FileDeleted => fs::remove_file(path)?,
        Then::HostRestarted => {
            agent.kill9();
            let pins = agent.pins().to_string_lossy().into_owned();
            scene.host.run(&["rm", "-r", &pins])?;
            agent.restart()?;
        }
    }
    Ok(())
}
