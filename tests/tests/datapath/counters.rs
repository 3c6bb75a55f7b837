//! Every packet is counted once, with its bytes: by rule, mode and reason, and by endpoint.

use std::collections::BTreeMap;
use std::{fs, thread};

use anyhow::{Context, Result};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use harness::Packet;
use harness::judge::{Judges, facts, read};
use harness::net::packet::{Arp, Icmpv6, Tcp, Udp, Vlan};
use harness::net::station::{BASTION, GUEST, HOST, INTRUDER, VIM};
use manoward::datapath::{Counters, Hook, Pins, check_kernel, object};
use verdict::counters::{Count, EndpointCount, RULES};
use verdict::reason::{Outcome, Verdict};

use crate::{NO_SERVICE, both, ethernet, policy, v4, v6};

const POLICY: &str = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2, "2001:db8:0:51::2"] }
  silent: { role: vim, addresses: [192.0.2.99] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, libvirt-tls] }
  watched: { from: [vim], services: [relay], mode: audit }
services:
  relay: { protocol: udp, ports: [7000] }
"#;

/// Packets for different counters, and some for the same one.
fn packets() -> Vec<Packet> {
    let mut packets: Vec<_> = [VIM, BASTION, INTRUDER]
        .into_iter()
        .flat_map(|from| {
            let ssh = both(from, HOST).map(|packet| packet.with(Tcp::syn(22)));
            let tls = both(from, HOST).map(|packet| packet.with(Tcp::ack(16514)));
            let relay = both(from, HOST).map(|packet| packet.with(Udp::to(7000)));
            let closed = both(from, HOST).map(|packet| packet.with(Tcp::syn(NO_SERVICE)));
            [ssh, tls, relay, closed].into_iter().flatten()
        })
        .collect();
    packets.push(v4(INTRUDER, GUEST).with(Tcp::syn(22)).with(vec![0; 1000]));
    packets.push(v6(INTRUDER, HOST).with(Icmpv6::neighbour_solicitation(HOST.v6, VIM.mac)));
    packets.push(v4(VIM, HOST).with(Tcp::syn(22)).with(vec![0; 1446]));
    packets.push(
        Packet::new()
            .with(ethernet(VIM, HOST))
            .with(Vlan::new(42))
            .with(Arp::request((VIM.mac, VIM.v4), HOST.v4)),
    );
    packets
}

/// What the counters should hold.
#[derive(Debug, Default, Eq, PartialEq)]
struct Expected {
    verdicts: BTreeMap<(u16, bool, u8), (u64, u64)>,
    endpoints: BTreeMap<u32, [(u64, u64); 2]>,
}

impl Expected {
    fn add(&mut self, outcome: Outcome, packets: u64, bytes: u64) {
        let add = |count: &mut (u64, u64)| {
            count.0 += packets;
            count.1 += packets * bytes;
        };
        let cell = (outcome.rule(), outcome.audited(), outcome.code());
        add(self.verdicts.entry(cell).or_default());
        if outcome.endpoint() != 0 {
            let [passed, dropped] = self.endpoints.entry(outcome.endpoint()).or_default();
            match outcome.verdict() {
                Verdict::Pass => add(passed),
                Verdict::Drop => add(dropped),
            }
        }
    }

    fn read(counters: &Counters, judges: &Judges) -> Result<Self> {
        let pair = |count: Count| (count.packets, count.bytes);
        let verdicts = counters.verdicts(0..RULES as u16)?;
        let endpoints = counters.endpoints(judges.numbers().endpoints.values().copied())?;
        let counted = |count: &EndpointCount| *count != EndpointCount::default();
        Ok(Self {
            verdicts: verdicts
                .iter()
                .map(|counter| {
                    let outcome = counter.outcome;
                    let cell = (outcome.rule(), outcome.audited(), outcome.code());
                    (cell, pair(counter.count))
                })
                .collect(),
            endpoints: endpoints
                .iter()
                .filter(|counter| counted(&counter.count))
                .map(|counter| {
                    let count = counter.count;
                    (
                        counter.endpoint,
                        [pair(count.received.passed), pair(count.received.dropped)],
                    )
                })
                .collect(),
        })
    }
}

/// Names of the pinned maps. Variables have a dot in theirs, and file names there have none.
fn pinned(pins: &Pins) -> Result<Vec<String>> {
    let map = pins.map("VERDICTS");
    let folder = map.parent().context("a pin lies in a folder")?;
    fs::read_dir(folder)?
        .map(|entry| {
            let name = entry?.file_name().to_string_lossy().into_owned();
            Ok(if name == "data" {
                ".data".to_owned()
            } else {
                name
            })
        })
        .collect()
}

/// The programs as they are attached, over the maps of `judges`.
fn programs(judges: &mut Judges) -> Result<Ebpf> {
    let pins = judges.pins();
    let features = check_kernel()?;
    let load = || -> Result<Ebpf> {
        let names = pinned(&pins)?;
        let mut loader = EbpfLoader::new();
        let multi_buffer = u8::from(features.multi_buffer);
        loader.override_global("MULTI_BUFFER", &multi_buffer, true);
        for name in &names {
            loader.map_pin_path(name, pins.map(name));
        }
        let mut ebpf = loader.load(&object(features))?;
        let missing = "the object lacks a program";
        let xdp: &mut Xdp = ebpf
            .program_mut(Hook::Xdp.program().name())
            .context(missing)?
            .try_into()?;
        xdp.load()?;
        let tcx: &mut SchedClassifier = ebpf
            .program_mut(Hook::Tcx.program().name())
            .context(missing)?
            .try_into()?;
        tcx.load()?;
        Ok(ebpf)
    };
    let ebpf = judges.namespace().enter(load)??;
    // Loading has cleared the control record, which is a variable of the programs.
    judges.publish(&read(&policy(POLICY))?, &facts())?;
    Ok(ebpf)
}

/// Runs the program of `hook` on a frame, `repeat` times.
fn run(ebpf: &Ebpf, hook: Hook, frame: &[u8], repeat: u32) -> Result<Option<Verdict>> {
    let program = ebpf
        .program(hook.program().name())
        .context("no such program")?;
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::default()
    };
    let result = match hook {
        Hook::Xdp => <&Xdp>::try_from(program)?.test_run(options)?,
        Hook::Tcx => <&SchedClassifier>::try_from(program)?.test_run(options)?,
    };
    Ok(hook.program().verdict(result.return_value))
}

#[test]
fn they_hold_what_was_sent_and_nothing_else() -> Result<()> {
    let mut judges = Judges::alone(&policy(POLICY))?;
    let ebpf = programs(&mut judges)?;
    let pins = judges.pins();
    let mut counters = judges.namespace().enter(move || Counters::open(&pins))??;
    assert_eq!(Expected::read(&counters, &judges)?, Expected::default());

    let mut expected = Expected::default();
    for hook in [Hook::Xdp, Hook::Tcx] {
        for (repeat, packet) in (1..).zip(packets()) {
            let frame = packet.build();
            let outcome = judges.outcome(&frame)?;
            let verdict = run(&ebpf, hook, &frame, repeat)?;
            assert_eq!(verdict, Some(outcome.verdict()), "{outcome:?}");
            expected.add(outcome, repeat.into(), frame.len() as u64);
        }
    }
    assert_eq!(Expected::read(&counters, &judges)?, expected);
    let silent = judges.numbers().endpoints["silent"];
    assert!(!expected.endpoints.contains_key(&silent));

    counters.clear_rules(0..RULES as u16)?;
    counters.clear_endpoints(judges.numbers().endpoints.values().copied())?;
    assert_eq!(Expected::read(&counters, &judges)?, Expected::default());
    Ok(())
}

#[test]
fn they_are_exact_on_all_processors_at_once() -> Result<()> {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 50;
    let mut judges = Judges::alone(&policy(POLICY))?;
    let ebpf = programs(&mut judges)?;
    let frame = v4(BASTION, HOST).with(Tcp::syn(22)).build();
    let outcome = judges.outcome(&frame)?;
    let repeats = || (0..ROUNDS).map(|round| 100 + round);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    repeats().try_for_each(|n| run(&ebpf, Hook::Xdp, &frame, n).map(drop))
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a worker never panics"))
    })?;
    let pins = judges.pins();
    let counters = judges.namespace().enter(move || Counters::open(&pins))??;
    let mut expected = Expected::default();
    let packets = u64::from(THREADS) * repeats().map(u64::from).sum::<u64>();
    expected.add(outcome, packets, frame.len() as u64);
    assert_eq!(Expected::read(&counters, &judges)?, expected);
    Ok(())
}
