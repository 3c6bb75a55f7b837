//! Maps that are filled as the agent fills them: with an image, flows and leases.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, Map, MapData};
use aya::programs::ProgramFd;
use harness::net::packet::Ethernet;
use manoward::datapath::leases::{Holder, LeaseTable};
use manoward::datapath::{
    self, Counters, Datapath, Explainer, Features, Hook, Pins, Program, Shadow, load_over,
};
use manoward::image::{self, Facts, Numbers};
use verdict::counters;
use verdict::frame::ethernet::mac_word;
use verdict::frame::origin::Origin;
use verdict::reason::{Reason, Verdict};
use verdict::state::flow::entry::SET_WORDS;

use crate::machine::BPF_FILE_SYSTEM;
use crate::packets::case::{FLOWS_PER_FAMILY, Kind, PEER_PORT};
use crate::packets::family::Family;
use crate::packets::policy::{Known, candidate, name, policy};
use crate::packets::subject::Tally;

/// Smallest size of the flow table: the agent's default.
const FLOWS: u32 = 65_536;

/// Longer than any measurement takes.
const LEASE: Duration = Duration::from_hours(24);
/// The interface that packets arrive on in `BPF_PROG_TEST_RUN`: the loopback interface.
const LOOPBACK: u32 = 1;

/// The maps of one policy.
pub struct Tables {
    /// How the policy identifies its endpoints.
    pub known: Known,
    /// Number of addresses or prefixes per IP version.
    pub count: u32,
    features: Features,
    counters: Counters,
    numbers: Numbers,
    pins: Pins,
    /// The program that hands on to that of a candidate, which goes as long as this is kept.
    watched: Option<(ProgramFd, Shadow)>,
    _datapath: Datapath,
}

impl Tables {
    /// Makes the maps of a policy with `count` addresses or prefixes of each IP version.
    pub fn fill(known: Known, count: u32) -> Result<Self> {
        let policy = policy(known, count)?;
        let numbers = Numbers::default()
            .carried_to(&policy)
            .context("the policy has too many names")?;
        let image = image::compile(&policy, &Facts::default(), &numbers)?;
        let folder = format!("manoward-{}-{count}", known.label());
        let pins = Pins::new(&PathBuf::from(BPF_FILE_SYSTEM).join(folder));
        let features = datapath::check_kernel()?;
        let flows = FLOWS.max(2 * count.min(FLOWS_PER_FAMILY));
        let mut datapath = Datapath::open(pins.clone(), Hook::Xdp, features, Some(flows))?;
        datapath.publish(&image)?;
        let mut watched = None;
        match known {
            Known::Tried => {
                let candidate = candidate(&policy);
                let image = image::compile(&candidate, &Facts::default(), &numbers)?;
                let mut shadow = Shadow::load(&mut datapath, &image, false, false)?;
                datapath.watch(&mut shadow)?;
                let program = datapath.program(Program::Xdp)?;
                watched = Some((program.context("the program is not loaded")?, shadow));
            }
            Known::Addresses => open_flows(&pins, features, count)?,
            Known::Leases => give_leases(&pins, &numbers, count)?,
            _ => {}
        }
        Ok(Self {
            known,
            count,
            features,
            counters: Counters::open(&pins)?,
            numbers,
            pins,
            watched,
            _datapath: datapath,
        })
    }

    /// Loads this build's program that judges such packets.
    pub fn load(&self, kind: Kind) -> Result<ProgramFd> {
        if let (Some((watched, _)), false) = (&self.watched, kind.is_out()) {
            return Ok(watched.try_clone()?);
        }
        self.load_from(&datapath::object(self.features), kind)
    }

    /// Loads the program from another object, over the same maps.
    pub fn load_from(&self, object: &[u8], kind: Kind) -> Result<ProgramFd> {
        let program = if kind.is_out() {
            Program::Out
        } else {
            Program::Xdp
        };
        Ok(load_over(&self.pins, object, program, self.features)?)
    }

    /// Prepares a run of such packets.
    pub fn prepare(&self, kind: Kind) -> Result<()> {
        if kind == Kind::Opening {
            clear_flows(&self.pins)?;
        }
        Ok(())
    }

    /// What has been counted so far, of packets in the direction of this kind.
    pub fn tally(&self, kind: Kind) -> Result<Tally> {
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
            for frame in [
                family.opening(PEER_PORT, number),
                family.question(PEER_PORT, number),
            ] {
                let outcome = program.outcome(&frame, 0)?;
                ensure!(
                    outcome.reason() == Reason::Outbound,
                    "connection {number} is not opened: {outcome:?}"
                );
            }
        }
    }
    Ok(())
}

/// Empties the table of flows.
fn clear_flows(pins: &Pins) -> Result<()> {
    let map = Map::from_map_data(MapData::from_pin(pins.map("FLOWS"))?)?;
    let mut flows = Array::<_, [u64; SET_WORDS]>::try_from(map)?;
    for set in 0..flows.len() {
        flows.set(set, [0; SET_WORDS], 0)?;
    }
    Ok(())
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
