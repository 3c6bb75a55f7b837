//! The changes of a soak: of every kind, in a random order.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use crate::agent::Agent;
use crate::agent::policy::Policy;
use crate::machine::namespace::Namespace;
use crate::net::station::HOST;
use crate::programs::openssh::Sshd;
use crate::scene::topology::Topology;

use super::await_end_of_trial;

/// Where the host talks to the VIM.
pub(super) const AMQPS: u16 = 5671;

/// Time within which a policy that lapses was to be confirmed, the shortest that there is.
const TERM: &str = "3s";
/// Time within which one is confirmed, or cancelled.
const LONG: &str = "60s";
const PATIENCE: Duration = Duration::from_secs(20);
/// Time in which an agent that is killed may have come to any part of a change.
const MEANWHILE: u64 = 120;

/// Each kind of change, and how often it comes of a hundred.
const KINDS: [(&str, u32); 6] = [
    ("apply", 40),
    ("confirm", 14),
    ("cancel", 14),
    ("roll back", 14),
    ("promote", 12),
    ("lapse", 6),
];

/// One of the policies. All of them permit the VIM what it does, and nobody permits the intruder
/// anything; else they differ in as much as policies can.
pub(super) fn policy(serial: u64, variant: u32) -> String {
    let vim = "vim-1: { role: vim, addresses: [192.0.2.10, 192.0.2.11, \"2001:db8:0:17::10\", \
               \"2001:db8:0:17::11\"] }";
    let peer = |number: u32| {
        let [.., high, low] = number.to_be_bytes();
        format!(", peer-{number}: {{ role: nm, addresses: [10.{variant}.{high}.{low}] }}")
    };
    let crowd = (0..variant * 40).map(peer).collect::<Vec<_>>().concat();
    let bastion = [
        "",
        ", bastion: { role: bastion, addresses: [198.51.100.0/28] }",
    ];
    let endpoints = format!("{{ {vim}{}{crowd} }}", bastion[(variant % 2) as usize]);
    let points = [
        "{ Nf-Vi: { from: [vim], services: [ssh, control] }, out: { to: [vim], services: [amqps] } }",
        "{ a: { from: [bastion], services: [ssh] }, Nf-Vi: { from: [vim], services: [control, ssh, \
         libvirt-tls] }, out: { to: [vim], services: [amqps, dns] } }",
        "{ b: { from: [nm], services: [libvirt-tls] }, Nf-Vi: { from: [vim], services: [control, ssh] }, \
         out: { to: [vim, nm], services: [amqps] } }",
        "{ b: { from: [nm], services: [ssh] }, a: { from: [bastion], services: [ssh, libvirt-tls] }, \
         Nf-Vi: { from: [vim], services: [ssh, control] }, out: { to: [vim], services: [amqps, ntp] } }",
    ];
    let policy = Policy {
        serial,
        endpoints: &endpoints,
        reference_points: points[(variant % 4) as usize],
        more: "outbound: enforce",
        ..Policy::default()
    };
    policy.to_string()
}

/// Makes changes.
pub(super) struct Changes<'a> {
    /// Who confirms.
    vim: &'a Namespace,
    /// Where it logs in.
    sshd: Sshd,
    random: Rng,
    variant: u32,
}

impl<'a> Changes<'a> {
    pub(super) fn new(scene: &'a Topology, seed: u64) -> Result<Self> {
        Ok(Self {
            vim: &scene.vim,
            sshd: Sshd::start(&scene.host)?,
            random: Rng::with_seed(seed),
            variant: 0,
        })
    }

    /// A file with another policy than the last one.
    fn file(&mut self, agent: &Agent<'_>) -> Result<String> {
        self.variant = (self.variant + self.random.u32(1..4)) % 4;
        let path = agent.folder().join("soak.yaml");
        std::fs::write(&path, policy(1, self.variant))?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn kind(&mut self) -> &'static str {
        let mut left = self.random.u32(0..100);
        for (kind, share) in KINDS {
            if left < share {
                return kind;
            }
            left -= share;
        }
        KINDS[0].0
    }

    /// Makes one; what it was.
    pub(super) fn next(&mut self, agent: &Agent<'_>) -> Result<&'static str> {
        let kind = self.kind();
        self.make(kind, agent).with_context(|| kind.to_owned())?;
        Ok(kind)
    }

    fn make(&mut self, kind: &str, agent: &Agent<'_>) -> Result<()> {
        let file = self.file(agent)?;
        let apply = ["policy", "apply", "--serial", "auto", "--quiet", &file];
        let within = |term| [&apply[..], &["--confirm-within", term]].concat();
        match kind {
            "apply" => agent.ask(&apply).map(drop),
            "confirm" => {
                agent.ask(&within(LONG))?;
                self.confirm(agent)
            }
            "cancel" => {
                agent.ask(&within(LONG))?;
                agent.ask(&["policy", "cancel"]).map(drop)
            }
            "lapse" => {
                agent.ask(&within(TERM))?;
                await_end_of_trial(agent, PATIENCE)
            }
            "promote" => {
                agent.ask(&["policy", "try", &file])?;
                agent.ask(&["policy", "promote", "--serial", "auto", "--quiet"])?;
                Ok(())
            }
            "roll back" => roll_back(agent),
            other => bail!("no change is called {other}"),
        }
    }

    /// Confirms over a connection of its own.
    fn confirm(&self, agent: &Agent<'_>) -> Result<()> {
        let command = agent.command(&["policy", "confirm"])?;
        let words = format!("{command:?}").replace('"', "");
        let output = self.sshd.login(self.vim, HOST.v4, &words)?;
        output.succeeded().map(drop)
    }

    /// Kills the agent in the middle of a change.
    pub(super) fn killed_meanwhile(&mut self, agent: &mut Agent<'_>) -> Result<()> {
        let file = self.file(agent)?;
        let words: &[&str] = match self.random.u32(0..3) {
            0 => &["policy", "apply", "--serial", "auto", &file],
            1 => &[
                "policy",
                "apply",
                "--serial",
                "auto",
                "--confirm-within",
                LONG,
                &file,
            ],
            _ => &["policy", "try", &file],
        };
        let mut change = agent.begin(words)?;
        thread::sleep(Duration::from_millis(self.random.u64(0..MEANWHILE)));
        agent.kill9();
        // However it ends.
        change.wait(PATIENCE)?;
        Ok(())
    }
}

/// Ends what waits.
pub(super) fn settle(agent: &Agent<'_>) -> Result<()> {
    agent.cli(&["policy", "cancel"])?;
    await_end_of_trial(agent, PATIENCE)?;
    agent.cli(&["policy", "try", "--stop"])?;
    Ok(())
}

/// Goes back; the first policy has none before it.
fn roll_back(agent: &Agent<'_>) -> Result<()> {
    let output = agent.cli(&["policy", "rollback", "--quiet"])?;
    if output.status.success() || output.stderr.contains("no other policy was in force") {
        return Ok(());
    }
    bail!("{}: {}", output.status, output.stderr)
}
