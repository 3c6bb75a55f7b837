//! `manoward policy replay`

use std::{
    fs::File,
    io::{BufWriter, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use manoward::{
    datapath::interface::Interfaces,
    explain::capture::{Capture, Captured},
    image::Facts,
    policy,
    replay::{Replay as Judge, Row},
};
use pcap_file::{
    DataLink,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock,
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
        },
    },
};
use serde::Serialize;
use verdict::reason::Verdict;

use super::file;
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity::{bytes, grouped},
    table::{Column, Table},
    tone::Tone,
};

/// Show what a policy would have done with captured traffic.
///
/// Each frame of the capture is judged as if the policy had been in force, with the connections that the
/// capture shows. Endpoints with certificates are taken for proven; TCP connections that were open before
/// the capture go on if the policy permits them. Neither the agent nor the kernel is asked.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tcpdump -i eth0 -w traffic.pcap
  manoward policy replay --policy new.yaml traffic.pcap
  manoward policy replay --policy new.yaml --drops dropped.pcapng traffic.pcap
  manoward policy replay --policy new.yaml --local 192.0.2.17 from-elsewhere.pcapng

With packets that would have been dropped, the exit code is that of `explain` for
a packet that is.")]
pub struct Replay {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// A capture of Ethernet frames, pcap or pcapng
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,

    /// The captured host's address, in place of those of this one; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    local: Vec<IpAddr>,

    /// Write the frames that would have been dropped to a pcapng file
    #[arg(long, value_name = "FILE")]
    drops: Option<PathBuf>,
}

/// What a replay has shown.
#[derive(Serialize)]
struct Outcome {
    packets: u64,
    dropped: u64,
    /// Frames of which the capture has only the beginning.
    cut_off: u64,
    /// Packets of other links than Ethernet, which were not judged.
    other_links: u64,
    rows: Vec<Row>,
}

pub async fn run(args: Replay, context: &Context) -> anyhow::Result<Exit> {
    let given = file::read(&args.policy)?;
    let name = &given.candidate.file;
    if given.broken.is_some() {
        bail!("{name} has mistakes, see `manoward policy check`");
    }
    let policy = match policy::read(&given.candidate.text, name) {
        Ok(validated) => validated.policy,
        Err(error) => bail!("{}", given.sources.lines(&error).join("\n")),
    };
    let facts = match Interfaces::read().await {
        Ok(interfaces) => interfaces.facts(&policy),
        Err(error) if args.local.is_empty() => return Err(error.into()),
        Err(_) => Facts::default(),
    };
    let mut judge = Judge::new(policy, facts, &args.local)?;
    let mut drops = args.drops.as_deref().map(Drops::create).transpose()?;
    let started = Instant::now();
    let mut outcome = Outcome {
        packets: 0,
        dropped: 0,
        cut_off: 0,
        other_links: 0,
        rows: Vec::new(),
    };
    for captured in Capture::open(&args.capture)? {
        let Captured::Frame { bytes, whole, time } = captured? else {
            outcome.other_links += 1;
            continue;
        };
        outcome.packets += 1;
        outcome.cut_off += u64::from(!whole);
        if judge.judge(&bytes, time).verdict() == Verdict::Drop {
            outcome.dropped += 1;
            if let Some(drops) = &mut drops {
                drops.write(bytes, time)?;
            }
        }
    }
    let took = started.elapsed();
    if let Some(drops) = drops {
        drops.finish()?;
    }
    outcome.rows = judge.rows();
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &outcome)?,
        Format::Table => show(&mut out, &outcome, took)?,
    }
    Ok(if outcome.dropped > 0 {
        Exit::Dropped
    } else {
        Exit::Success
    })
}

/// A file of frames that would have been dropped.
struct Drops(PcapNgWriter<BufWriter<File>>);

impl Drops {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        let mut writer = PcapNgWriter::new(BufWriter::new(file))?;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        // Nanoseconds.
        interface.options = vec![InterfaceDescriptionOption::IfTsResol(9)];
        writer.write_pcapng_block(interface)?;
        Ok(Self(writer))
    }

    fn write(&mut self, bytes: Vec<u8>, time: Duration) -> anyhow::Result<()> {
        self.0.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: time,
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            data: bytes.into(),
            options: Vec::new(),
        })?;
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        Ok(self.0.into_inner().flush()?)
    }
}

fn show(out: &mut impl Write, outcome: &Outcome, took: Duration) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::Short("WAY"),
        Column::Long("REFERENCE POINT"),
        Column::Long("SERVICE"),
        Column::Long("PEER"),
        Column::Long("REASON"),
        Column::Short("FATE"),
        Column::Number("PACKETS"),
        Column::Number("BYTES"),
    ]);
    for row in &outcome.rows {
        let tone = match row.fate {
            "dropped" => Tone::Bad,
            "audited" => Tone::Warning,
            _ => Tone::Good,
        };
        let name = |text: &Option<String>| match text {
            Some(text) => Tone::Plain.cell(text),
            None => Tone::Quiet.cell("-"),
        };
        table.row([
            Tone::Plain.cell(row.direction),
            name(&row.reference_point),
            name(&row.service),
            name(&row.peer),
            Tone::Plain.cell(row.reason),
            tone.cell(row.fate),
            Tone::Plain.cell(grouped(row.packets)),
            Tone::Plain.cell(bytes(row.bytes)),
        ]);
    }
    out.write_all(table.render(output::text_width()).as_bytes())?;
    let rate = u128::from(outcome.packets) * 1_000_000 / took.as_micros().max(1);
    let mut totals = format!(
        "{} packets, {} would have been dropped; {} packets/s",
        grouped(outcome.packets),
        grouped(outcome.dropped),
        grouped(u64::try_from(rate).unwrap_or(u64::MAX))
    );
    for (count, what) in [
        (outcome.cut_off, "cut off"),
        (outcome.other_links, "of other links, not judged"),
    ] {
        if count > 0 {
            totals = format!("{totals}; {} {what}", grouped(count));
        }
    }
    writeln!(out, "{}", Tone::Quiet.paint(totals))
}
