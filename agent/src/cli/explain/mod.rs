//! `manoward explain`

mod judged;
mod packet;
mod show;

use std::{net::IpAddr, path::PathBuf};

use clap::{ArgGroup, Args};
use manoward_api::{Fate, Question, Way};

use super::{
    Context, Exit,
    output::{self, Format},
    port::parse_port,
};

/// Show what happens to a packet, and why.
///
/// Describe the packet with options, give it as a frame, or read packets from a capture. Each is
/// judged by the policy in force, twice: by the agent, and by the program in the kernel that judges
/// real packets. No packet is sent, and nothing is counted.
///
/// Where --mac, --vlan or --interface is not given, the packet is assumed to have what its source's
/// endpoint is bound to.
///
/// With --outbound the packet leaves the host: --from is a protected address, and --to is the peer.
/// TCP opens a connection, unless the host has one open between these ports: then it is its next segment.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["from", "frame", "pcap"]),
    after_help = "\
Examples:
  manoward explain --from 192.0.2.10 --to 192.0.2.1 --port 22
  manoward explain --from 192.0.2.10 --mac 52:54:00:aa:bb:99 --to 192.0.2.1 --port 16514
  manoward explain --from 192.0.2.10 --to 192.0.2.1 --protocol icmp
  manoward explain --outbound --from 192.0.2.1 --to 192.0.2.53 --protocol udp --port 53
  manoward explain --pcap outage.pcapng
  manoward explain --from 192.0.2.10 --to 192.0.2.1 --port 22 > /dev/null && echo admitted

Exit codes: 0 if the packet passes (audited ones do), 10 if it is dropped, 11 if kernel and agent \
disagree. For a capture: 11 if they disagree about any frame, otherwise 1 if any could not be judged, \
otherwise 10 if any is dropped."
)]
pub struct Explain {
    /// Source address; with --outbound a protected one
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    from: Option<IpAddr>,

    /// Destination address; with --outbound the peer's
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    to: Option<IpAddr>,

    /// tcp, udp, sctp, icmp, icmpv6, another protocol's name, or its number
    #[arg(
        long,
        value_name = "PROTOCOL",
        requires = "from",
        default_value = "tcp"
    )]
    protocol: String,

    /// Destination port, for protocols that have ports
    #[arg(long, value_name = "PORT", requires = "from", value_parser = parse_port)]
    port: Option<u16>,

    /// Source port [default: 50000]
    #[arg(long, value_name = "PORT", requires = "from", value_parser = parse_port)]
    source_port: Option<u16>,

    /// Source MAC address
    #[arg(long, value_name = "MAC", requires = "from")]
    mac: Option<String>,

    /// VLAN: an id, `untagged`, or OUTER.INNER
    #[arg(long, value_name = "VLAN", requires = "from")]
    vlan: Option<String>,

    /// A frame in hexadecimal, from the destination MAC address on
    #[arg(long, value_name = "HEX")]
    frame: Option<String>,

    /// A capture (pcap or pcapng) of Ethernet frames; each frame is judged
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// Interface that the packet arrives on or leaves by [default: the endpoint's, otherwise the
    /// first attached one]
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,

    /// Judge the packet, the frame or the capture as leaving the host
    #[arg(long)]
    outbound: bool,
}

pub async fn run(args: Explain, context: &Context) -> anyhow::Result<Exit> {
    let direction = if args.outbound { Way::Out } else { Way::In };
    let question = match args {
        Explain {
            pcap: Some(file),
            interface,
            ..
        } => return judged::run(&file, interface.as_deref(), direction, context).await,
        Explain {
            frame: Some(hex),
            interface,
            ..
        } => Question::Frame {
            hex,
            interface,
            direction,
        },
        Explain {
            from: Some(from),
            to: Some(to),
            protocol,
            port,
            source_port,
            mac,
            vlan,
            interface,
            ..
        } => Question::Packet {
            from,
            to,
            protocol,
            port,
            source_port,
            mac,
            vlan,
            interface,
            direction,
        },
        _ => anyhow::bail!("name a packet with --from and --to, --frame or --pcap"),
    };
    let explanation = context.client.explain(&question).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &explanation)?,
        Format::Table => show::one(&mut out, &explanation, direction, output::text_width())?,
    }
    Ok(exit(explanation.fate))
}

const fn exit(fate: Fate) -> Exit {
    match fate {
        Fate::Passed | Fate::Audited => Exit::Success,
        Fate::Dropped => Exit::Dropped,
    }
}
