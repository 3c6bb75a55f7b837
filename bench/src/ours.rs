//! manoward's own program, with a policy compiled and published as the agent does it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use aya::maps::MapData;
use aya::programs::{ProgramFd, loaded_programs};
use ipnet::IpNet;
use manoward::datapath::{self, Counters, Datapath, Explainer, Features, Hook, Pins, Program};
use manoward::image::{self, Facts, Numbers};
use manoward::policy::{
    Authenticate, Binding, Direction, Encryption, Endpoint, FlowTimeouts, Mode, Outbound, Policy,
    Protect, ReferencePoint, Service, ServiceMatch, Transport,
};
use verdict::counters;
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

/// The datapath with one policy.
pub struct Ours {
    count: u32,
    program: ProgramFd,
    counters: Counters,
    numbers: Numbers,
    _datapath: Datapath,
}

impl Ours {
    /// Loads it with a policy that allows `count` addresses of each IP version.
    pub fn load(count: u32) -> Result<Self> {
        let policy = policy(count);
        let numbers = Numbers::default()
            .carried_to(&policy)
            .context("the policy has too many names")?;
        let image = image::compile(&policy, &Facts::default(), &numbers)?;
        let pins = Pins::new(&PathBuf::from(BPF_FILE_SYSTEM).join(format!("manoward-{count}")));
        let features = datapath::check_kernel()?;
        let flows = FLOWS.max(2 * count.min(FLOWS_PER_FAMILY));
        let mut datapath = Datapath::load(pins.clone(), Hook::Xdp, features, flows)?;
        datapath.publish(&image)?;
        open_flows(&pins, features, count)?;
        Ok(Self {
            count,
            program: program_over(&pins)?,
            counters: Counters::open(&pins)?,
            numbers,
            _datapath: datapath,
        })
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
        &[
            Kind::Unprotected,
            Kind::Unknown,
            Kind::Allowed,
            Kind::Established,
        ]
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

/// A policy of one service, whose addresses are spread over named endpoints.
fn policy(count: u32) -> Policy {
    let endpoints = scale::endpoints(count).zip(1..);
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
            .map(|(numbers, name)| (format!("vim-{name}"), endpoint(numbers)))
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

fn endpoint(numbers: std::ops::Range<u32>) -> Endpoint {
    let addresses = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed(number)));
    Endpoint {
        role: ROLE.to_owned(),
        authenticate: Authenticate::Address,
        addresses: addresses.map(IpNet::from).collect(),
        binding: Binding::default(),
    }
}
