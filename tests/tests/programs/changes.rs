//! Changes of the host's addresses, of its policy and of its agent, at random: no connection ends by
//! one, and none stalls.

mod streams;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use harness::agent::Hook;
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::programs::etcd::Cluster;
use harness::{Agent, Policy, Topology};
use streams::Streams;

/// How many changes there are, unless the environment variable `MANOWARD_CHANGES` says.
const CHANGES: usize = 40;

/// For longer no connection may be silent.
const STALL: Duration = Duration::from_secs(1);

/// Time after a change.
const PAUSE: Duration = Duration::from_millis(120);

const SERVICES: &str = "{ streams: { protocol: tcp, ports: [7000-7099] },
                          datagrams: { protocol: udp, ports: [7000-7099] },
                          discard: { protocol: sctp, ports: [9] } }";

/// The policies that take turns: each lets the same peers in, in another way.
fn policies() -> [Policy<'static>; 4] {
    let usual = Policy {
        endpoints: "{
          vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] },
          vim-2: { role: vim, addresses: [192.0.2.66, \"2001:db8:0:17::66\"] } }",
        reference_points: "{
          Nf-Vi: { from: [vim], services: [etcd, streams, datagrams, ssh] },
          Nf-Vi-out: { to: [vim], services: [etcd, streams, datagrams, discard] } }",
        services: SERVICES,
        ..Policy::default()
    };
    [
        usual.clone(),
        Policy {
            protect: "[interface-addresses, 203.0.113.10]",
            ..usual.clone()
        },
        Policy {
            endpoints: "{
              vim-1: { role: vim, mac: 52:54:00:aa:bb:01,
                       addresses: [192.0.2.0/27, \"2001:db8:0:17::10\"] },
              vim-2: { role: vim, addresses: [192.0.2.66, \"2001:db8:0:17::66\"] },
              bastion: { role: operator, addresses: [198.51.100.0/28] } }",
            reference_points: "{
              operations: { from: [operator], services: [ssh] },
              cluster: { from: [vim], services: [etcd] },
              cluster-out: { to: [vim], services: [etcd] },
              Nf-Vi: { from: [vim], services: [streams, datagrams] },
              Nf-Vi-out: { to: [vim], services: [streams, datagrams, discard] } }",
            ..usual.clone()
        },
        Policy {
            more: "outbound: audit\nflow_timeouts: { tcp-established: 3h, udp-established: 3m }",
            ..usual
        },
    ]
}

#[test]
fn no_change_ends_or_stalls_a_connection() -> Result<()> {
    let changes = match std::env::var("MANOWARD_CHANGES") {
        Ok(changes) => changes.parse()?,
        Err(_) => CHANGES,
    };
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let scene = Topology::new()?;
    scene
        .host
        .feed(&["ip", "-batch", "-"], "link set lo up\n")?;
    let [first, ..] = policies();
    let mut host = Host {
        agent: Agent::start_with(&scene.host, &first.to_string(), Hook::Xdp, "")?,
        scene: &scene,
        serial: 1,
        added: [false; ADDRESSES.len()],
    };
    let places = [
        (&scene.host, HOST.v4.into()),
        (&scene.vim, VIM.v4.into()),
        (&scene.intruder, INTRUDER.v4.into()),
    ];
    let cluster = Cluster::start(&places)?;
    let terms = cluster.terms()?;
    let streams = Streams::start(&scene)?;
    let begin = Instant::now();
    for number in 0..changes {
        let change = host.change(&mut random);
        let change = change.with_context(|| format!("change {number}, seed {seed}"))?;
        thread::sleep(PAUSE);
        let stalled = streams.stalled(STALL);
        ensure!(
            stalled.is_empty(),
            "change {number} ({change}), seed {seed}: {stalled:?}"
        );
    }
    println!("{changes} changes in {:?}", begin.elapsed());
    let longest = streams.finish().with_context(|| format!("seed {seed}"))?;
    println!("longest silence of a connection: {longest:?}");
    ensure!(longest.0 < STALL, "seed {seed}: {longest:?}");
    assert!(cluster.agrees("at the end")?);
    assert_eq!(cluster.terms()?, terms, "elections; seed {seed}");
    Ok(())
}

/// Addresses that come and go, each with its interface.
const ADDRESSES: [&str; 5] = [
    "192.0.2.99/32 dev lo",
    "2001:db8:0:17::99/128 dev lo nodad",
    "172.17.0.1/16 dev docker0",
    "192.0.2.200/24 dev eth0",
    "2001:db8:0:17::200/64 dev eth0 nodad",
];

/// The host that is changed.
struct Host<'a> {
    agent: Agent<'a>,
    scene: &'a Topology,
    serial: u64,
    added: [bool; ADDRESSES.len()],
}

impl Host<'_> {
    /// Makes a change, and says which.
    fn change(&mut self, random: &mut Rng) -> Result<String> {
        match random.usize(..20) {
            0 => {
                self.agent.kill9();
                self.agent.restart()?;
                Ok("the agent was killed".to_owned())
            }
            1 => {
                self.agent.restart()?;
                Ok("the agent was restarted".to_owned())
            }
            2..=8 => {
                let which = random.usize(..4);
                let trial = random.bool();
                self.apply(&policies()[which], trial)?;
                Ok(format!("policy {which}, cancelled: {trial}"))
            }
            _ => self.change_address(random.usize(..ADDRESSES.len())),
        }
    }

    fn apply(&mut self, policy: &Policy<'_>, cancelled: bool) -> Result<()> {
        self.serial += 1;
        let policy = Policy {
            serial: self.serial,
            ..policy.clone()
        };
        let path = self.agent.write_policy(&policy.to_string())?;
        let path = path.to_string_lossy();
        if cancelled {
            let within = ["policy", "apply", &path, "--confirm-within", "30s"];
            self.agent.ask(&within)?;
            thread::sleep(PAUSE);
            self.agent.ask(&["policy", "cancel"])?;
        } else {
            self.agent.ask(&["policy", "apply", &path])?;
        }
        Ok(())
    }

    fn change_address(&mut self, which: usize) -> Result<String> {
        let address = ADDRESSES[which];
        let bridge = address.contains("docker0");
        let commands = match (self.added[which], bridge) {
            (false, false) => format!("address add {address}\n"),
            (false, true) => format!(
                "link add docker0 type bridge\naddress add {address}\nlink set docker0 up\n"
            ),
            (true, false) => format!("address del {}\n", address.trim_end_matches(" nodad")),
            (true, true) => "link del docker0\n".to_owned(),
        };
        let host = &self.scene.host;
        host.feed(&["ip", "-batch", "-"], &commands)?;
        self.added[which] ^= true;
        Ok(commands)
    }
}
