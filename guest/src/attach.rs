//! Where the agent can attach in this kernel, and whether it enforces there.

use anyhow::{Context, Result, ensure};
use harness::agent::Hook;
use harness::net::station::{HOST, VIM};
use harness::{Agent, Policy};

use crate::report::{Found, Report};
use crate::scene::Scene;

/// Bytes that are sent in jumbo frames.
const BULK_BYTES: usize = 1 << 20;

/// Lines that make a bond of two cables, with these words.
macro_rules! bond {
    ($words:literal) => {
        concat!(
            "link add bond0 type bond ",
            $words,
            " miimon 100\n",
            "link set nic1 master bond0\n",
            "link set nic2 master bond0\n",
            "link set bond0 up\n"
        )
    };
}

const VIRTIO: Setup<'_> = Setup {
    lines: "link set nic1 up\n",
    device: "nic1",
    ..Setup::NONE
};
const ACTIVE_BACKUP: Setup<'_> = Setup {
    lines: bond!("mode active-backup"),
    device: "bond0",
    ..Setup::NONE
};
const LACP: Setup<'_> = Setup {
    lines: bond!("mode 802.3ad lacp_rate fast"),
    device: "bond0",
    ..Setup::NONE
};
const VLAN_ON_BOND: Setup<'_> = Setup {
    lines: concat!(
        bond!("mode active-backup"),
        "link add link bond0 name bond0.17 type vlan id 17\n",
        "link set bond0.17 up\n"
    ),
    device: "bond0.17",
    vlan: "vlan: 17,",
    ..Setup::NONE
};
const BRIDGE: Setup<'_> = Setup {
    lines: "link add br-mgmt type bridge stp_state 0 forward_delay 0\n\
            link set nic1 master br-mgmt\n\
            link set nic1 up\n\
            link set br-mgmt up\n",
    device: "br-mgmt",
    ..Setup::NONE
};
const VLAN_IN_FRAME: Setup<'_> = Setup {
    lines: "link set nic1 up\n\
            link add link nic1 name nic1.17 type vlan id 17\n\
            link set nic1.17 up\n",
    device: "nic1.17",
    vlan: "vlan: 17,",
    ..Setup::NONE
};
const VLAN_OFFLOADED: Setup<'_> = Setup {
    lines: "link set nic3 up\n\
            link add link nic3 name nic3.17 type vlan id 17\n\
            link set nic3.17 up\n",
    device: "nic3.17",
    vlan: "vlan: 17,",
    ..Setup::NONE
};
const JUMBO: Setup<'_> = Setup {
    lines: "link set nic1 mtu 9000\nlink set nic1 up\n",
    device: "nic1",
    ..Setup::NONE
};

/// A device to enforce on, and how it is made.
#[derive(Clone, Copy, Debug)]
struct Setup<'a> {
    /// The `ip` commands that make it, on both machines.
    lines: &'a str,
    /// The device that has the addresses, and is named in the policy.
    device: &'a str,
    /// The VLAN that the policy binds the VIM to.
    vlan: &'a str,
    /// Where the agent attaches.
    hook: Hook,
}

impl Setup<'_> {
    const NONE: Self = Self {
        lines: "",
        device: "",
        vlan: "",
        hook: Hook::Xdp,
    };
}

/// Tests every setup.
pub fn look(report: &mut Report, quick: bool) -> Result<()> {
    let scene = Scene::new()?;
    let mut host_agent = HostAgent::new(&scene);
    let mut row = |capability: &str, setup: Setup<'_>, bulk: bool| {
        report.row(capability, || host_agent.enforced(&setup, bulk))
    };
    row("virtio_net", VIRTIO, false)?;
    row("bond, active-backup", ACTIVE_BACKUP, false)?;
    report.row("inner door", || host_agent.at_door())?;
    if quick {
        return Ok(());
    }
    report.row("explain asks the kernel", || host_agent.explained(&VIRTIO))?;
    let mut row = |capability: &str, setup: Setup<'_>, bulk: bool| {
        report.row(capability, || host_agent.enforced(&setup, bulk))
    };
    row("bond, 802.3ad", LACP, false)?;
    row("VLAN device on a bond", VLAN_ON_BOND, false)?;
    row("bridge", BRIDGE, false)?;
    row("VLAN tag in the frame", VLAN_IN_FRAME, false)?;
    row("jumbo frames", JUMBO, true)?;
    let behind = |setup| Setup {
        hook: Hook::Tcx,
        ..setup
    };
    row("jumbo frames, hook tcx", behind(JUMBO), true)?;
    let behind = behind(VLAN_OFFLOADED);
    row("VLAN tag removed by the NIC, hook tcx", behind, false)?;
    report.row("VLAN tag removed by the NIC, hook xdp", || {
        host_agent.problem(&VLAN_OFFLOADED, "rxvlan")
    })
}

/// The agent on the host. It moves from setup to setup by a change of its policy, since in an
/// emulated machine loading the programs takes longest.
struct HostAgent<'a> {
    scene: &'a Scene,
    agent: Option<(Hook, Agent<'a>)>,
    /// Serial of the policy that was applied last.
    serial: u64,
}

impl<'a> HostAgent<'a> {
    const fn new(scene: &'a Scene) -> Self {
        Self {
            scene,
            agent: None,
            serial: 0,
        }
    }

    /// Builds a setup, and attaches there: first auditing, then enforcing.
    fn attach(&mut self, setup: &Setup<'_>) -> Result<&Agent<'a>> {
        self.scene.clear()?;
        self.scene.build(setup.lines, setup.device)?;
        self.apply(setup, "audit")?;
        // In audit mode everything passes: the link itself must work first.
        self.scene.await_link()?;
        self.apply(setup, "enforce")
    }

    /// Applies a policy for the setup; starts a new agent if the hook differs.
    fn apply(&mut self, setup: &Setup<'_>, mode: &str) -> Result<&Agent<'a>> {
        self.serial += 1;
        let interfaces = format!("[{}]", setup.device);
        let endpoints = format!(
            "{{ vim-1: {{ role: vim, {} addresses: [192.0.2.10] }} }}",
            setup.vlan
        );
        let outbound = format!("outbound: {mode}");
        let policy = Policy {
            serial: self.serial,
            interfaces: &interfaces,
            mode,
            endpoints: &endpoints,
            reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                                 Nf-Vi-out: { to: [vim], services: [amqps] } }",
            services: "{}",
            more: &outbound,
            ..Policy::default()
        };
        let agent = match self.agent.take() {
            Some((hook, agent)) if hook == setup.hook => {
                let output = agent.apply(policy)?;
                ensure!(output.status.success(), "{}", output.stderr);
                agent
            }
            other => {
                drop(other);
                Agent::start_with(&self.scene.host, &policy.to_string(), setup.hook, "")?
            }
        };
        Ok(&self.agent.insert((setup.hook, agent)).1)
    }

    /// The agent must enforce in a setup; with `bulk`, frames of its MTU must pass, too.
    fn enforced(&mut self, setup: &Setup<'_>, bulk: bool) -> Result<Found> {
        let scene = self.scene;
        let agent = self.attach(setup)?;
        scene.expect_enforced()?;
        if bulk {
            let received = scene.transfer(BULK_BYTES)?;
            ensure!(
                received == BULK_BYTES,
                "{received} of {BULK_BYTES} bytes arrived"
            );
        }
        let attachments = agent.status()?.attachments;
        let told: Vec<_> = attachments
            .iter()
            .map(|it| format!("{} on {}", it.mode.name(), it.interface))
            .collect();
        let told = told.join(", ");
        let why = attachments.iter().find_map(|it| it.degraded.as_ref());
        Ok(match why {
            Some(why) => Found::limited(format!("{told}: {why}")),
            None => Found::yes(told),
        })
    }

    /// What comes and goes over an interface that the policy does not name must be judged at sockets.
    fn at_door(&mut self) -> Result<Found> {
        const NAMED: Setup<'_> = Setup {
            device: "nic2",
            ..Setup::NONE
        };
        let scene = self.scene;
        scene.clear()?;
        scene.build(VIRTIO.lines, VIRTIO.device)?;
        self.apply(&NAMED, "audit")?;
        scene.await_link()?;
        let agent = self.apply(&NAMED, "enforce")?;
        scene.expect_enforced()?;
        let coverage = agent.status()?.coverage;
        let way = coverage.iter().find(|it| it.interface == VIRTIO.device);
        let way = way.context("the NIC is no entrance")?;
        ensure!(way.at_door && way.ingress.is_none(), "{way:?}");
        Ok(Found::yes("at control groups"))
    }

    /// `manoward explain` must report the kernel's verdict.
    fn explained(&mut self, setup: &Setup<'_>) -> Result<Found> {
        let agent = self.attach(setup)?;
        let (from, to) = (VIM.v4.to_string(), HOST.v4.to_string());
        let told = agent.ask(&["explain", "--from", &from, "--to", &to, "--port", "22"])?;
        let opinion = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("kernel "))
            .with_context(|| format!("nothing about the kernel: {told}"))?;
        Ok(match opinion.trim() {
            "agrees" => Found::yes("the kernel agrees"),
            opinion => Found::limited(format!("the kernel {opinion}")),
        })
    }

    /// The agent must report that it cannot enforce in a setup, with the remedy.
    fn problem(&mut self, setup: &Setup<'_>, remedy: &str) -> Result<Found> {
        let problems = self.attach(setup)?.problems()?.join("; ");
        ensure!(problems.contains(remedy), "not reported: {problems}");
        Ok(Found::no(problems))
    }
}
