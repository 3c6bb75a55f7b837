//! manoward's own program, with a policy compiled and published as the agent does it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::MapData;
use aya::programs::{ProgramFd, loaded_programs};
use harness::packet::Ethernet;
use ipnet::IpNet;
use manoward::datapath::leases::{Holder, LeaseTable};
use manoward::datapath::{self, Counters, Datapath, Explainer, Features, Hook, Pins, Program};
use manoward::enrolment::Identity;
use manoward::image::{self, Facts, Numbers};
use manoward::policy::{
    Authenticate, Binding, Direction, Encryption, Endpoint, FlowTimeouts, Mode, Outbound, Policy,
    Protect, ReferencePoint, Service, ServiceMatch, Sessions, Transport,
};
use verdict::counters;
use verdict::ethernet::mac_word;
use verdict::lease::Origin;
use verdict::reason::{Reason, Verdict};

use crate::case::{FLOWS_PER_FAMILY, Kind, PEER_PORT, PORT};
use crate::driver;
use crate::family::Family;
use crate::machine::BPF_FILE_SYSTEM;
use crate::scale;
use crate::subject::{Subject, Tally};

const ROLE: &str = "vim";
const SERVICE: &str = "libvirt-tls";
const PEER_SERVICE: &str = "amqps";

/// The program that is measured.
const PROGRAM: &str = "manoward_xdp";
/// Flows that the table holds at least, as an agent's does that is not told otherwise.
const FLOWS: u32 = 65_536;

/// How it is called in the report.
pub const NAME: &str = "manoward";

/// Most addresses that hold leases, each of an endpoint of its own.
pub const LEASES: u32 = 10_000;
/// Longer than any measurement takes.
const LEASE: Duration = Duration::from_hours(24);
/// The interface that packets seem to come in on: where the kernel runs a program for its user, that
/// is the loopback interface.
const LOOPBACK: u32 = 1;

/// The datapath with one policy.
pub struct Ours {
    count: u32,
    kinds: &'static [Kind],
    program: ProgramFd,
    counters: Counters,
    numbers: Numbers,
    _datapath: Datapath,
}

impl Ours {
    /// Loads it with a policy that allows `count` addresses of each IP version, which share a few
    /// endpoints.
    pub fn load(count: u32) -> Result<Self> {
        let endpoints = scale::endpoints(count).map(|numbers| (Authenticate::Address, numbers));
        let (ours, pins, features) = Self::enforcing(count, &policy(endpoints))?;
        open_flows(&pins, features, count)?;
        Ok(ours)
    }

    /// The same, where each number is an endpoint of its own that has to hold leases, and does.
    pub fn proving(count: u32) -> Result<Self> {
        let endpoints = (0..count).map(|number| (proof(number), number..number + 1));
        let (ours, pins, _) = Self::enforcing(count, &policy(endpoints))?;
        give_leases(&pins, &ours.numbers, count)?;
        Ok(Self {
            kinds: &[Kind::Proven],
            ..ours
        })
    }

    fn enforcing(count: u32, policy: &Policy) -> Result<(Self, Pins, Features)> {
        let numbers = Numbers::default()
            .carried_to(policy)
            .context("the policy has too many names")?;
        let image = image::compile(policy, &Facts::default(), &numbers)?;
        let mut proving = policy.endpoints.values();
        let proving = proving.any(|endpoint| endpoint.authenticate != Authenticate::Address);
        let name = if proving {
            "manoward-leases"
        } else {
            "manoward"
        };
        let pins = Pins::new(&PathBuf::from(BPF_FILE_SYSTEM).join(format!("{name}-{count}")));
        let features = datapath::check_kernel()?;
        let flows = FLOWS.max(2 * count.min(FLOWS_PER_FAMILY));
        let mut datapath = Datapath::load(pins.clone(), Hook::Xdp, features, flows)?;
        datapath.publish(&image)?;
        let ours = Self {
            count,
            kinds: &[
                Kind::Unprotected,
                Kind::Unknown,
                Kind::Allowed,
                Kind::Established,
            ],
            program: program_over(&pins)?,
            counters: Counters::open(&pins)?,
            numbers,
            _datapath: datapath,
        };
        Ok((ours, pins, features))
    }
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        NAME
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn driver(&self) -> driver::Kind {
        driver::Kind::Frags
    }

    fn kinds(&self) -> &'static [Kind] {
        self.kinds
    }

    fn program(&self) -> &ProgramFd {
        &self.program
    }

    fn tally(&self) -> Result<Tally> {
        let rules = self.numbers.rules.values().copied();
        let mut tally = Tally::default();
        for counter in self.counters.verdicts(std::iter::once(0).chain(rules))? {
            if counter.direction == counters::Direction::Out {
                continue;
            }
            match counter.outcome.verdict() {
                Verdict::Pass => tally.passed += counter.count.packets,
                Verdict::Drop => tally.dropped += counter.count.packets,
            }
        }
        Ok(tally)
    }
}

/// Lets the protected address open a connection to every allowed one.
fn open_flows(pins: &Pins, features: Features, count: u32) -> Result<()> {
    let mut program = Explainer::rehearsing(pins, Program::Out, features)?;
    for family in Family::ALL {
        for number in 0..count.min(FLOWS_PER_FAMILY) {
            let outcome = program.outcome(&family.question(PEER_PORT, number), 0)?;
            ensure!(
                outcome.reason() == Reason::Outbound,
                "connection {number} is not opened: {outcome:?}"
            );
        }
    }
    Ok(())
}

/// The program that reads the images pinned there: the one that was just loaded.
fn program_over(pins: &Pins) -> Result<ProgramFd> {
    let images = MapData::from_pin(pins.map("IMAGES"))?.info()?.id();
    for program in loaded_programs() {
        // Programs of others come and go while they are listed.
        let Ok(program) = program else { continue };
        let maps = program.map_ids().ok().flatten().unwrap_or_default();
        if maps.contains(&images) && program.name_as_str() == Some(PROGRAM) {
            return Ok(program.fd()?);
        }
    }
    anyhow::bail!("the kernel does not list the program that was loaded")
}

/// Gives every endpoint its leases.
fn give_leases(pins: &Pins, numbers: &Numbers, count: u32) -> Result<()> {
    let mut table = LeaseTable::open(pins)?;
    let mac = mac_word(Ethernet::default().source.0);
    for number in 0..count {
        for family in Family::ALL {
            let holder = Holder {
                id: numbers.endpoints[&name(number + 1)],
                address: family.allowed(number),
                origin: Origin::new(mac, 0, LOOPBACK),
                beside: Vec::new(),
            };
            ensure!(table.give(&holder, LEASE)?, "no room for lease {number}");
        }
    }
    Ok(())
}

fn proof(number: u32) -> Authenticate {
    Identity::parse(&format!("vim-{number}.example")).map_or(Authenticate::Address, |identity| {
        Authenticate::Certificate {
            identity,
            sessions: Sessions::default(),
        }
    })
}

/// The name of an endpoint; the first has the number 1.
fn name(number: u32) -> String {
    format!("vim-{number}")
}

/// A policy of one service for these endpoints, whose addresses have these numbers.
fn policy(endpoints: impl Iterator<Item = (Authenticate, Range<u32>)>) -> Policy {
    let service = |port| Service {
        matches: vec![ServiceMatch::Ports {
            transport: Transport::Tcp,
            first: port,
            last: port,
        }],
        encryption: Encryption::Encrypted,
    };
    let reference_point = |name: &str, direction, service: &str| ReferencePoint {
        name: name.to_owned(),
        direction,
        roles: vec![ROLE.to_owned()],
        services: vec![service.to_owned()],
        mode: Mode::Enforce,
    };
    Policy {
        name: "bench".to_owned(),
        serial: 1,
        mode: Mode::Enforce,
        outbound: Outbound::default(),
        flow_timeouts: FlowTimeouts::default(),
        interfaces: Vec::new(),
        protect: Family::ALL
            .map(|family| Protect::Address(family.protected()))
            .to_vec(),
        endpoints: endpoints
            .zip(1..)
            .map(|((authenticate, numbers), at)| (name(at), endpoint(authenticate, &numbers)))
            .collect(),
        reference_points: vec![
            reference_point("Nf-Vi", Direction::Inbound, SERVICE),
            reference_point("Nf-Vi-out", Direction::Outbound, PEER_SERVICE),
        ],
        services: BTreeMap::from([
            (SERVICE.to_owned(), service(PORT)),
            (PEER_SERVICE.to_owned(), service(PEER_PORT)),
        ]),
    }
}

fn endpoint(authenticate: Authenticate, numbers: &Range<u32>) -> Endpoint {
    let addresses = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed(number)));
    Endpoint {
        role: ROLE.to_owned(),
        authenticate,
        addresses: addresses.map(IpNet::from).collect(),
        binding: Binding::default(),
    }
}
