//! manoward's own program, with a policy compiled and published as the agent does it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, Map, MapData};
use aya::programs::{ProgramFd, loaded_programs};
use harness::net::packet::Ethernet;
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
use verdict::frame::ethernet::mac_word;
use verdict::frame::origin::Origin;
use verdict::reason::{Reason, Verdict};
use verdict::state::flow::Entry;

use crate::machine::BPF_FILE_SYSTEM;
use crate::packets::case::{FLOWS_PER_FAMILY, Kind, OTHER_PORT, PEER_PORT, PORT, Sources};
use crate::packets::driver;
use crate::packets::family::Family;
use crate::packets::scale;
use crate::packets::subject::{Subject, Tally};

const ROLE: &str = "vim";
const SERVICE: &str = "libvirt-tls";
const PEER_SERVICE: &str = "amqps";

/// A role with a service of its own, and no endpoint.
const OTHER_ROLE: &str = "bastion";
const OTHER_SERVICE: &str = "ssh";

/// Flows that the table holds at least, as an agent's does that is not told otherwise.
const FLOWS: u32 = 65_536;

/// Words of a place in the table of flows.
const FLOW_WORDS: usize = size_of::<Entry>() / 8;

/// How it is called in the report.
pub const NAME: &str = "manoward";

/// Most addresses that are endpoints of their own.
pub const ENDPOINTS: u32 = 10_000;
/// Longer than any measurement takes.
const LEASE: Duration = Duration::from_hours(24);
/// The interface that packets seem to come in on: where the kernel runs a program for its user, that
/// is the loopback interface.
const LOOPBACK: u32 = 1;

/// How the endpoints of a policy are known, and with it what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By their addresses, of which a few endpoints have many each.
    Addresses,
    /// By prefixes of different lengths, likewise.
    Prefixes,
    /// Each by an address.
    Singles,
    /// Each by an address and a MAC address.
    Macs,
    /// Each by an address and a lease.
    Leases,
    /// As [`Addresses`](Self::Addresses), of a host that opens connections.
    Peers,
}

impl Known {
    const fn label(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Prefixes => "prefixes",
            Self::Singles => "singles",
            Self::Macs => "macs",
            Self::Leases => "leases",
            Self::Peers => "peers",
        }
    }

    const fn cases(self) -> &'static [(Kind, Sources)] {
        match self {
            Self::Addresses => &[
                (Kind::Unprotected, Sources::Changing),
                (Kind::Unknown, Sources::Changing),
                (Kind::Unknown, Sources::Fixed),
                (Kind::Allowed, Sources::Changing),
                (Kind::Allowed, Sources::Fixed),
                (Kind::WrongRole, Sources::Changing),
                (Kind::Established, Sources::Changing),
                (Kind::Fragment, Sources::Changing),
                (Kind::Neighbour, Sources::Changing),
            ],
            Self::Prefixes => &[(Kind::Allowed, Sources::Prefixes)],
            Self::Singles => &[(Kind::Single, Sources::Changing)],
            Self::Macs => &[
                (Kind::Bound, Sources::Changing),
                (Kind::WrongBinding, Sources::Changing),
            ],
            Self::Leases => &[(Kind::Proven, Sources::Changing)],
            Self::Peers => &[
                (Kind::Opening, Sources::Changing),
                (Kind::Sent, Sources::Changing),
                (Kind::Reply, Sources::Changing),
            ],
        }
    }
}

/// The datapath with one policy.
pub struct Ours {
    count: u32,
    known: Known,
    inward: ProgramFd,
    outward: ProgramFd,
    counters: Counters,
    numbers: Numbers,
    pins: Pins,
    _datapath: Datapath,
}

impl Ours {
    /// Loads it with a policy of so many addresses or prefixes of each IP version.
    pub fn load(known: Known, count: u32) -> Result<Self> {
        let policy = policy(endpoints(known, count)?);
        let numbers = Numbers::default()
            .carried_to(&policy)
            .context("the policy has too many names")?;
        let image = image::compile(&policy, &Facts::default(), &numbers)?;
        let folder = format!("manoward-{}-{count}", known.label());
        let pins = Pins::new(&PathBuf::from(BPF_FILE_SYSTEM).join(folder));
        let features = datapath::check_kernel()?;
        let flows = FLOWS.max(2 * count.min(FLOWS_PER_FAMILY));
        let mut datapath = Datapath::load(pins.clone(), Hook::Xdp, features, flows)?;
        datapath.publish(&image)?;
        match known {
            Known::Addresses => open_flows(&pins, features, count)?,
            Known::Leases => give_leases(&pins, &numbers, count)?,
            _ => {}
        }
        Ok(Self {
            count,
            known,
            inward: program_over(&pins, Program::Xdp)?,
            outward: program_over(&pins, Program::Out)?,
            counters: Counters::open(&pins)?,
            numbers,
            pins,
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

    fn driver(&self, kind: Kind) -> driver::Kind {
        if kind.is_out() {
            driver::Kind::Out
        } else {
            driver::Kind::Frags
        }
    }

    fn cases(&self) -> &'static [(Kind, Sources)] {
        self.known.cases()
    }

    fn program(&self, kind: Kind) -> &ProgramFd {
        if kind.is_out() {
            &self.outward
        } else {
            &self.inward
        }
    }

    fn prepare(&self, kind: Kind) -> Result<()> {
        if kind == Kind::Opening {
            forget_flows(&self.pins)?;
        }
        Ok(())
    }

    fn tally(&self, kind: Kind) -> Result<Tally> {
        let direction = if kind.is_out() {
            counters::Direction::Out
        } else {
            counters::Direction::In
        };
        let rules = self.numbers.rules.values().copied();
        let mut tally = Tally::default();
        for counter in self.counters.verdicts(std::iter::once(0).chain(rules))? {
            if counter.direction != direction {
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

/// Empties the table of flows.
fn forget_flows(pins: &Pins) -> Result<()> {
    let map = Map::from_map_data(MapData::from_pin(pins.map("FLOWS"))?)?;
    let mut flows = Array::<_, [u64; FLOW_WORDS]>::try_from(map)?;
    for place in 0..flows.len() {
        flows.set(place, [0; FLOW_WORDS], 0)?;
    }
    Ok(())
}

/// The program that reads the images pinned there: the one that was just loaded.
fn program_over(pins: &Pins, program: Program) -> Result<ProgramFd> {
    let images = MapData::from_pin(pins.map("IMAGES"))?.info()?.id();
    for loaded in loaded_programs() {
        // Programs of others come and go while they are listed.
        let Ok(loaded) = loaded else { continue };
        let maps = loaded.map_ids().ok().flatten().unwrap_or_default();
        if maps.contains(&images) && loaded.name_as_str() == Some(program.name()) {
            return Ok(loaded.fd()?);
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

/// The endpoints of a policy.
fn endpoints(known: Known, count: u32) -> Result<Vec<Endpoint>> {
    let shared = scale::endpoints(count);
    let each = (0..count).map(|number| number..number + 1);
    match known {
        Known::Addresses | Known::Peers => Ok(shared.map(|numbers| addressed(&numbers)).collect()),
        Known::Prefixes => shared.map(|numbers| prefixed(&numbers)).collect(),
        Known::Singles => Ok(each.map(|numbers| addressed(&numbers)).collect()),
        Known::Macs => Ok(each.map(bound).collect()),
        Known::Leases => each.map(proving).collect(),
    }
}

/// An endpoint of the addresses of these numbers.
fn addressed(numbers: &Range<u32>) -> Endpoint {
    let addresses = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed(number)));
    endpoint(addresses.map(IpNet::from).collect())
}

/// The same of prefixes.
fn prefixed(numbers: &Range<u32>) -> Result<Endpoint> {
    let prefixes = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed_prefix(number)));
    Ok(endpoint(prefixes.collect::<Result<_>>()?))
}

/// The same of addresses that hold leases.
fn proving(numbers: Range<u32>) -> Result<Endpoint> {
    let identity = format!("vim-{}.example", numbers.start);
    let identity = Identity::parse(&identity).context("an identity")?;
    Ok(Endpoint {
        authenticate: Authenticate::Certificate {
            identity,
            sessions: Sessions::default(),
        },
        ..addressed(&numbers)
    })
}

/// The same of addresses that are bound to the MAC address that frames have.
fn bound(numbers: Range<u32>) -> Endpoint {
    let binding = Binding {
        mac: Some(Ethernet::default().source.0),
        ..Binding::default()
    };
    Endpoint {
        binding,
        ..addressed(&numbers)
    }
}

fn endpoint(addresses: Vec<IpNet>) -> Endpoint {
    Endpoint {
        role: ROLE.to_owned(),
        authenticate: Authenticate::Address,
        addresses,
        binding: Binding::default(),
    }
}

/// The name of an endpoint; the first has the number 1.
fn name(number: u32) -> String {
    format!("vim-{number}")
}

/// A policy of one service for these endpoints, of one that others have, and of one that they give.
fn policy(endpoints: Vec<Endpoint>) -> Policy {
    let service = |port| Service {
        matches: vec![ServiceMatch::Ports {
            transport: Transport::Tcp,
            first: port,
            last: port,
        }],
        encryption: Encryption::Encrypted,
    };
    let reference_point = |name: &str, direction, role: &str, service: &str| ReferencePoint {
        name: name.to_owned(),
        direction,
        roles: vec![role.to_owned()],
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
        endpoints: (1..).map(name).zip(endpoints).collect(),
        reference_points: vec![
            reference_point("Nf-Vi", Direction::Inbound, ROLE, SERVICE),
            reference_point("operations", Direction::Inbound, OTHER_ROLE, OTHER_SERVICE),
            reference_point("Nf-Vi-out", Direction::Outbound, ROLE, PEER_SERVICE),
        ],
        services: BTreeMap::from([
            (SERVICE.to_owned(), service(PORT)),
            (OTHER_SERVICE.to_owned(), service(OTHER_PORT)),
            (PEER_SERVICE.to_owned(), service(PEER_PORT)),
        ]),
    }
}
