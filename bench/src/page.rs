//! The documentation of a result: a page and its pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::agent::AgentCosts;
use crate::charts;
use crate::live::{Fate, Live, Measure};
use crate::packets::{Case, Costs, Family, Floor, Kind, NAME, Sources, Variant};
use crate::report::Report;
use crate::statistics::Spread;
use crate::words::grouped;

const PAGE: &str = "performance.md";
const PACKETS: [(Family, &str); 2] = [
    (Family::V4, "performance-ipv4.svg"),
    (Family::V6, "performance-ipv6.svg"),
];
const FLOODS: &str = "performance-live.svg";

const HEAD: &str = "\
# Performance

`cargo xtask bench --write-docs` measured these values and wrote this page. On another machine the
numbers differ; ratios differ less.
";

const PACKETS_METHOD: &str = "\
`BPF_PROG_TEST_RUN` runs a program on one core, a million packets a time. A driver gives every packet
another source address, in an order that jumps through all of them, and tail-calls the program under
test, so that no entry is in a cache because of the packet before. Each case is checked first: one
packet from every source, with the verdicts read from the program's counters. Then all cases take
turns, round after round, so that a drift of the machine's speed affects every case. Values are low
quartiles, less that of a program that only returns `XDP_DROP`.

Two revisions are compared in another way (`cargo xtask bench --compare REVISION`): the kernel objects
of both are loaded into one process over the same maps, twice each, since the address of code matters.
A round of a case is eight runs, of 125,000 packets each, in the order A B B A B A A B or with A and B
exchanged, by turns, and the walk through the sources goes on from run to run. A round's value for
either is the median of its four runs, by the thread's processor time; what is reported is the mean of
the differences within the rounds, with its confidence interval by Student's t.
";

const LIVE_METHOD: &str = "\
Two network namespaces and a veth for everyone who takes part. The kernel makes packets on one core
(`BPF_PROG_TEST_RUN` with live frames, as xdp-trafficgen does) and receives them on another, in a
thread of its own; what counts is how many that thread takes in a second of its running. In every
flood the source changes from packet to packet. All are told to allow the same addresses; before a
flood counts, all of it or nothing of it has met a UDP socket, as it should. A bare program never
looks at a packet, which another core has written; what fetching its headers takes, everyone else
pays, too. Everyone takes a turn in each round, and ratios are of the same round.
";

/// Writes the page and its pictures into a folder.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    let mut page = String::from(HEAD);
    let _ = write!(
        page,
        "\n    {}\n",
        report
            .machine
            .to_string()
            .trim_end()
            .replace('\n', "\n    ")
    );
    if let Some(costs) = &report.packets {
        packets(&mut page, costs, folder)?;
    }
    if let Some(live) = &report.live {
        charts::floods(live, &folder.join(FLOODS))?;
        live_traffic(&mut page, live);
    }
    if let Some(agent) = &report.agent {
        agent_costs(&mut page, agent);
    }
    let file = folder.join(PAGE);
    fs::write(&file, page).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("Written to {} and its pictures.", file.display());
    Ok(())
}

fn packets(page: &mut String, costs: &Costs, folder: &Path) -> Result<()> {
    let _ = write!(page, "\n## A packet\n\n{PACKETS_METHOD}\n");
    for (family, picture) in PACKETS {
        charts::packets(costs, family, &folder.join(picture))?;
        let _ = writeln!(
            page,
            "![Cost of a packet by the number of allowed addresses, {}]({picture})\n",
            family.name()
        );
    }
    let _ = writeln!(
        page,
        "{} rounds of {} packets. What the least that a program can do takes:\n",
        costs.rounds,
        grouped(costs.packets_per_round)
    );
    for floor in &costs.floors {
        let does = match floor.floor {
            Floor::Bare => "returns at once",
            Floor::ParseOnly => "reads the headers",
        };
        let (driver, ns) = (floor.driver.name(), floor.ns.low_quartile_ns);
        let _ = writeln!(page, "- {does}, {driver}: {ns} ns");
    }
    let counts = counts(costs);
    page.push_str(
        "\nNanoseconds above that which returns at once, IPv4 / IPv6, by the number of allowed\n\
         addresses of each:\n\n",
    );
    header(
        page,
        "",
        &counts
            .iter()
            .map(|&count| grouped(count))
            .collect::<Vec<_>>(),
    );
    for (kind, sources) in kinds(costs) {
        let name = |case: &Case| case.packets == kind && case.sources == sources;
        let cells = counts.iter().map(|&count| {
            let cost = |family| {
                let mut cases = ours(costs).filter(|case| name(case));
                let case = cases.find(|case| case.addresses == count && case.family == family);
                case.map(|case| case.above_bare_ns.to_string())
            };
            match (cost(Family::V4), cost(Family::V6)) {
                (Some(v4), Some(v6)) => format!("{v4} / {v6}"),
                _ => String::new(),
            }
        });
        let cells: Vec<_> = cells.collect();
        let label = ours(costs)
            .find(|case| name(case))
            .map_or(String::new(), Case::name);
        row(page, &label, &cells);
    }
    page.push_str(
        "\n\"one\" is from one and the same source in every packet; \"prefixes\" are /24 and /32, or\n\
         /48, /64 and /128, in turns. \"out\" is what the host sends.\n",
    );
    peers(page, costs, &counts);
    Ok(())
}

/// How xdp-filter compares, where it was measured.
fn peers(page: &mut String, costs: &Costs, counts: &[u32]) {
    if costs.cases.iter().all(|case| case.program == NAME) {
        return;
    }
    page.push_str(
        "\nBeside it in the same rounds: xdp-filter of xdp-tools, with the same addresses. Its\n\
         program \"ip\" looks at addresses alone, \"all\" at ports and MAC addresses, too. In\n\
         brackets: how many times as much as manoward it costs.\n\n",
    );
    header(
        page,
        "xdp-filter",
        &counts
            .iter()
            .map(|&count| grouped(count))
            .collect::<Vec<_>>(),
    );
    for variant in Variant::ALL {
        for kind in [Kind::Unknown, Kind::Allowed] {
            let cells = counts.iter().map(|&count| {
                let pair = Family::ALL.map(|family| {
                    let mut cases = ours(costs)
                        .filter(|case| case.packets == kind && case.sources == Sources::Changing);
                    let case =
                        cases.find(|case| case.addresses == count && case.family == family)?;
                    let peer = costs.peer(case, variant)?;
                    let times = f64::from(peer) / f64::from(case.above_bare_ns.max(1));
                    Some(format!("{peer} ({times:.1})"))
                });
                pair.into_iter().flatten().collect::<Vec<_>>().join(" / ")
            });
            let cells: Vec<_> = cells.collect();
            row(
                page,
                &format!("{}: {}", variant.name(), kind.name()),
                &cells,
            );
        }
    }
}

fn live_traffic(page: &mut String, live: &Live) {
    let _ = write!(
        page,
        "\n## Live traffic\n\n{LIVE_METHOD}\n![Packets a second]({FLOODS})\n\n\
         Rounds: {}; allowed addresses: {}; IPv4. Medians, and between\n\
         which values half of the rounds lie:\n\n",
        live.rounds,
        grouped(live.addresses)
    );
    header(
        page,
        "",
        &["Mpps", "of the bare program"].map(str::to_owned),
    );
    for fate in [Fate::Dropped, Fate::Passed] {
        for rate in live.floods.iter().filter(|rate| rate.fate == fate) {
            let label = match fate {
                Fate::Dropped => "dropped",
                Fate::Passed => "passed to a socket",
            };
            row(
                page,
                &format!("{label}: {}", rate.contender.name()),
                &[spread(rate.mpps), format!("{:.0} %", rate.of_bare * 100.0)],
            );
        }
    }
    page.push_str(
        "\nConnections through real sockets: a request and its answer of one byte each, both ends on one\n\
         core, and iperf3. Any XDP program on a veth turns off its segmentation offload, which \"bare\n\
         XDP_PASS\" shows alone.\n\n",
    );
    header(
        page,
        "",
        &[
            "request and answer, µs",
            "of no filter",
            "TCP, Gbit/s",
            "of no filter",
        ]
        .map(str::to_owned),
    );
    for trip in &live.round_trips {
        let find = |measure: &&Measure| measure.contender == trip.contender;
        let Some(throughput) = live.throughput.iter().find(find) else {
            continue;
        };
        let cells = [trip, throughput].map(|measure| {
            [
                spread(measure.value),
                format!("{:.0} %", measure.of_unfiltered * 100.0),
            ]
        });
        row(page, trip.contender.name(), &cells.concat());
    }
}

/// The median, and between which values half of the rounds lie.
fn spread(value: Spread) -> String {
    let Spread {
        low_quartile,
        median,
        high_quartile,
    } = value;
    format!("{median:.2} ({low_quartile:.2} to {high_quartile:.2})")
}

fn agent_costs(page: &mut String, agent: &AgentCosts) {
    page.push_str(
        "\n## The agent\n\nWith addresses of both IP versions in turns, of at most 1,000 endpoints. \"start\" is\n\
         from the start of the process until it enforces; \"apply\" is `manoward policy apply` from a\n\
         policy of one address, the whole command.\n\n",
    );
    header(
        page,
        "addresses",
        &[
            "start, s",
            "apply, s",
            "agent's memory, MiB",
            "maps in the kernel, MiB",
        ]
        .map(str::to_owned),
    );
    for policy in &agent.policies {
        let cells = [
            format!("{:.2}", policy.start_s),
            format!("{:.2}", policy.apply_s),
            format!("{:.0}", policy.agent_mib),
            format!("{:.0}", policy.maps_mib),
        ];
        row(page, &grouped(policy.addresses), &cells);
    }
    let _ = writeln!(
        page,
        "\nThe agent takes {:.2} % of a core at rest, and {:.2} % while {:.1} million packets a second\n\
         are dropped.",
        agent.processor_at_rest * 100.0,
        agent.processor_in_flood * 100.0,
        agent.flood_mpps
    );
}

fn ours(costs: &Costs) -> impl Iterator<Item = &Case> {
    costs.cases.iter().filter(|case| case.program == NAME)
}

fn counts(costs: &Costs) -> Vec<u32> {
    let mut counts: Vec<_> = ours(costs).map(|case| case.addresses).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Kinds of packets in the order in which they were measured.
fn kinds(costs: &Costs) -> Vec<(Kind, Sources)> {
    let mut kinds = Vec::new();
    for case in ours(costs) {
        let kind = (case.packets, case.sources);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn header(page: &mut String, first: &str, cells: &[String]) {
    row(page, first, cells);
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(cells.len()));
}

fn row(page: &mut String, first: &str, cells: &[String]) {
    let _ = writeln!(page, "| {first} | {} |", cells.join(" | "));
}
