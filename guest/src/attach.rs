//! Where the agent can attach in this kernel, and whether it enforces there.

use anyhow::{Context, Result, ensure};
use harness::agent::Hook;
use harness::net::station::{HOST, VIM};
use harness::{Agent, Policy};

use crate::report::{Found, Report};
use crate::scene::Scene;

/// What is sent in frames of jumbo size.
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

const VIRTIO: Place<'_> = Place {
    lines: "link set nic1 up\n",
    device: "nic1",
    ..Place::NONE
};
const ACTIVE_BACKUP: Place<'_> = Place {
    lines: bond!("mode active-backup"),
    device: "bond0",
    ..Place::NONE
};
const LACP: Place<'_> = Place {
    lines: bond!("mode 802.3ad lacp_rate fast"),
    device: "bond0",
    ..Place::NONE
};
const VLAN_ON_BOND: Place<'_> = Place {
    lines: concat!(
        bond!("mode active-backup"),
        "link add link bond0 name bond0.17 type vlan id 17\n",
        "link set bond0.17 up\n"
    ),
    device: "bond0.17",
    vlan: "vlan: 17,",
    ..Place::NONE
};
const BRIDGE: Place<'_> = Place {
    lines: "link add br-mgmt type bridge stp_state 0 forward_delay 0\n\
            link set nic1 master br-mgmt\n\
            link set nic1 up\n\
            link set br-mgmt up\n",
    device: "br-mgmt",
    ..Place::NONE
};
const VLAN_IN_FRAME: Place<'_> = Place {
    lines: "link set nic1 up\n\
            link add link nic1 name nic1.17 type vlan id 17\n\
            link set nic1.17 up\n",
    device: "nic1.17",
    vlan: "vlan: 17,",
    ..Place::NONE
};
const VLAN_OFFLOADED: Place<'_> = Place {
    lines: "link set nic3 up\n\
            link add link nic3 name nic3.17 type vlan id 17\n\
            link set nic3.17 up\n",
    device: "nic3.17",
    vlan: "vlan: 17,",
    ..Place::NONE
};
const JUMBO: Place<'_> = Place {
    lines: "link set nic1 mtu 9000\nlink set nic1 up\n",
    device: "nic1",
    ..Place::NONE
};

/// A device to enforce on.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    /// What makes it, on both machines.
    lines: &'a str,
    /// The device that has the addresses, and is named in the policy.
    device: &'a str,
    /// What the policy binds the VIM to.
    vlan: &'a str,
    /// Where the agent looks at packets.
    hook: Hook,
}

impl Place<'_> {
    const NONE: Self = Self {
        lines: "",
        device: "",
        vlan: "",
        hook: Hook::Xdp,
    };
}

/// Attaches everywhere.
pub fn look(report: &mut Report, quick: bool) -> Result<()> {
    let scene = Scene::new()?;
    let mut sentry = Sentry::new(&scene);
    let mut row = |capability: &str, place: Place<'_>, bulk: bool| {
        report.row(capability, || sentry.enforced(&place, bulk))
    };
    row("virtio_net", VIRTIO, false)?;
    row("bond, active-backup", ACTIVE_BACKUP, false)?;
    if quick {
        return Ok(());
    }
    report.row("explain asks the kernel", || sentry.explained(&VIRTIO))?;
    let mut row = |capability: &str, place: Place<'_>, bulk: bool| {
        report.row(capability, || sentry.enforced(&place, bulk))
    };
    row("bond, 802.3ad", LACP, false)?;
    row("VLAN device on a bond", VLAN_ON_BOND, false)?;
    row("bridge", BRIDGE, false)?;
    row("VLAN tag in the frame", VLAN_IN_FRAME, false)?;
    row("jumbo frames", JUMBO, true)?;
    let behind = |place| Place {
        hook: Hook::Tcx,
        ..place
    };
    row("jumbo frames, hook tcx", behind(JUMBO), true)?;
    let behind = behind(VLAN_OFFLOADED);
    row("VLAN tag removed by the NIC, hook tcx", behind, false)?;
    report.row("VLAN tag removed by the NIC, hook xdp", || {
        sentry.told(&VLAN_OFFLOADED, "rxvlan")
    })
}

/// The agent on the host. It goes from place to place by a change of its policy, as loading its
/// programs takes an emulated verifier most of the time.
struct Sentry<'a> {
    scene: &'a Scene,
    agent: Option<(Hook, Agent<'a>)>,
    /// Of the policy that was applied last.
    serial: u64,
}

impl<'a> Sentry<'a> {
    const fn new(scene: &'a Scene) -> Self {
        Self {
            scene,
            agent: None,
            serial: 0,
        }
    }

    /// Builds a place, and attaches there with a policy in this mode.
    fn attach(&mut self, place: &Place<'_>) -> Result<&Agent<'a>> {
        self.scene.clear()?;
        self.scene.build(place.lines, place.device)?;
        self.apply(place, "audit")?;
        // What the policy forbids gets through only where there is a way.
        self.scene.await_link()?;
        self.apply(place, "enforce")
    }

    /// Has the agent, a new one if need be, follow a policy for the place.
    fn apply(&mut self, place: &Place<'_>, mode: &str) -> Result<&Agent<'a>> {
        self.serial += 1;
        let interfaces = format!("[{}]", place.device);
        let endpoints = format!(
            "{{ vim-1: {{ role: vim, {} addresses: [192.0.2.10] }} }}",
            place.vlan
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
            Some((hook, agent)) if hook == place.hook => {
                let output = agent.apply(policy)?;
                ensure!(output.status.success(), "{}", output.stderr);
                agent
            }
            other => {
                drop(other);
                Agent::start_with(&self.scene.host, &policy.to_string(), place.hook, "")?
            }
        };
        Ok(&self.agent.insert((place.hook, agent)).1)
    }

    /// Enforces at a place, with frames of its MTU if there is to be `bulk`.
    fn enforced(&mut self, place: &Place<'_>, bulk: bool) -> Result<Found> {
        let scene = self.scene;
        let agent = self.attach(place)?;
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

    /// An explanation has the kernel's opinion, too.
    fn explained(&mut self, place: &Place<'_>) -> Result<Found> {
        let agent = self.attach(place)?;
        let (from, to) = (VIM.v4.to_string(), HOST.v4.to_string());
        let told = agent.ask(&["explain", "--from", &from, "--to", &to, "--port", "22"])?;
        let opinion = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("kernel "))
            .with_context(|| format!("no word of the kernel: {told}"))?;
        Ok(match opinion.trim() {
            "agrees" => Found::yes("the kernel agrees"),
            opinion => Found::limited(format!("the kernel {opinion}")),
        })
    }

    /// What cannot be kept at a place is among the problems that the agent tells of.
    fn told(&mut self, place: &Place<'_>, remedy: &str) -> Result<Found> {
        let problems = self.attach(place)?.status()?.problems.join("; ");
        ensure!(problems.contains(remedy), "nothing is told: {problems}");
        Ok(Found::no(problems))
    }
}
