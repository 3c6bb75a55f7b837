//! Where the agent can attach in this kernel, and whether it enforces there.

use anyhow::{Result, ensure};
use harness::agent::Hook;
use harness::{Agent, Policy};
use manoward::datapath::HookMode;

use crate::report::{Found, Report};
use crate::scene::{Scene, modes};

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
    hook: Hook::Tcx,
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
    let mut row = |capability: &str, place: Place<'_>| {
        report.row(capability, || enforced(&scene, &place, false))
    };
    row("virtio_net", VIRTIO)?;
    row("bond, active-backup", ACTIVE_BACKUP)?;
    if quick {
        return Ok(());
    }
    row("bond, 802.3ad", LACP)?;
    row("VLAN device on a bond", VLAN_ON_BOND)?;
    row("bridge", BRIDGE)?;
    row("VLAN tag in the frame", VLAN_IN_FRAME)?;
    row("VLAN tag removed by the NIC, hook tcx", VLAN_OFFLOADED)?;
    report.row("VLAN tag removed by the NIC, hook xdp", || told(&scene))?;
    report.row("jumbo frames", || enforced(&scene, &JUMBO, true))?;
    report.row("jumbo frames, hook tcx", || {
        let place = Place {
            hook: Hook::Tcx,
            ..JUMBO
        };
        enforced(&scene, &place, true)
    })
}

fn start<'a>(scene: &'a Scene, place: &Place<'_>) -> Result<Agent<'a>> {
    scene.clear()?;
    scene.build(place.lines, place.device)?;
    scene.await_link()?;
    let interfaces = format!("[{}]", place.device);
    let endpoints = format!(
        "{{ vim-1: {{ role: vim, {} addresses: [192.0.2.10] }} }}",
        place.vlan
    );
    let policy = Policy {
        interfaces: &interfaces,
        endpoints: &endpoints,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             Nf-Vi-out: { to: [vim], services: [amqps] } }",
        services: "{}",
        more: "outbound: enforce",
        ..Policy::default()
    };
    Agent::start_with(&scene.host, &policy.to_string(), place.hook, "")
}

/// Enforces at a place, with frames of its MTU if there is to be `bulk`.
fn enforced(scene: &Scene, place: &Place<'_>, bulk: bool) -> Result<Found> {
    let agent = start(scene, place)?;
    scene.expect_enforced()?;
    if bulk {
        let received = scene.transfer(BULK_BYTES)?;
        ensure!(
            received == BULK_BYTES,
            "{received} of {BULK_BYTES} bytes arrived"
        );
    }
    let attachments = agent.status()?.attachments;
    let mut told = modes(&agent)?;
    told.extend(
        attachments
            .iter()
            .filter(|it| it.mode.is_egress())
            .map(|it| format!("{} on {}", it.mode.name(), it.interface)),
    );
    let why = attachments.iter().find_map(|it| it.degraded.clone());
    let generic = attachments.iter().any(|it| it.mode == HookMode::XdpGeneric);
    let told = told.join(", ");
    Ok(match why {
        Some(why) => Found::limited(format!("{told}: {why}")),
        None if generic => Found::limited(told),
        None => Found::yes(told),
    })
}

/// A binding to a VLAN cannot be kept where the NIC removes tags before XDP: the agent says so.
fn told(scene: &Scene) -> Result<Found> {
    let place = Place {
        hook: Hook::Xdp,
        ..VLAN_OFFLOADED
    };
    let agent = start(scene, &place)?;
    let problems = agent.status()?.problems.join("; ");
    ensure!(problems.contains("rxvlan"), "nothing is told: {problems}");
    Ok(Found::no(problems))
}
