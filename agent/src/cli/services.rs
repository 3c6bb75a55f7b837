//! `manoward services`

mod query;

use std::io::{self, Write};

use clap::Args;
use comfy_table::Cell;
use manoward::policy::{CatalogueEntry, Encryption, ServiceMatch, catalogue, catalogue::Usual};

use query::Query;

use super::{
    Context, Exit,
    output::{self, Format},
    table::{Column, Table},
    tone::Tone,
};

/// Width of a terminal, in columns, from which on everything is shown side by side.
const ROOM_FOR_ALL: u16 = 120;

/// List the built-in services.
///
/// A policy can use them without defining them, and can define its own beside them. This command
/// needs no agent.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward services
  manoward services libvirt
  manoward services 443
  manoward services udp/53
  manoward services --output json | jq -r '.[] | select(.encryption == \"plaintext\").name'")]
pub struct Services {
    /// Only services that match this: a port or range (443, tcp/443, 6800-7300), a protocol (sctp),
    /// or part of a name, subject, peer or description
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
}

pub fn run(args: &Services, context: &Context) -> anyhow::Result<Exit> {
    let what = args.what.join(" ");
    let query = Query::parse(&what);
    let entries: Vec<_> = catalogue()
        .iter()
        .filter(|entry| query.finds(entry))
        .collect();
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &entries)?,
        Format::Table if entries.is_empty() => writeln!(
            out,
            "No built-in service matches `{what}`. A policy can define its own under `services`."
        )?,
        Format::Table => show(&mut out, &entries, output::width())?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, entries: &[&CatalogueEntry], width: Option<u16>) -> io::Result<()> {
    let has_room = width.is_none_or(|columns| columns >= ROOM_FOR_ALL);
    let table = if has_room {
        wide(entries)
    } else {
        narrow(entries)
    };
    out.write_all(table.render(width).as_bytes())?;
    if !has_room {
        let hint = "A wider terminal, or JSON, also shows the peer.";
        writeln!(out, "{}", Tone::Quiet.paint(hint))?;
    }
    Ok(())
}

/// A column for everything.
fn wide(entries: &[&CatalogueEntry]) -> Table {
    let mut table = Table::new([
        Column::Short("SERVICE"),
        Column::Short("OPENED BY"),
        Column::Long("PORTS"),
        Column::Short("ENCRYPTION"),
        Column::Long("DESCRIPTION"),
        Column::Long("PEER"),
    ]);
    for entry in entries {
        table.row([
            Tone::Strong.cell(entry.name),
            Tone::Plain.cell(opened_by(entry.usual)),
            Tone::Plain.cell(ports(entry.matches)),
            encryption(entry.encryption),
            Tone::Plain.cell(entry.description),
            Tone::Quiet.cell(entry.peer),
        ]);
    }
    table
}

/// Ports stand above the description: side by side, both would be wrapped too often.
fn narrow(entries: &[&CatalogueEntry]) -> Table {
    let mut table = Table::new([
        Column::Short("SERVICE"),
        Column::Short("OPENED BY"),
        Column::Short("ENCRYPTION"),
        Column::Long("PORTS, DESCRIPTION"),
    ]);
    for entry in entries {
        table.row([
            Tone::Strong.cell(entry.name),
            Tone::Plain.cell(opened_by(entry.usual)),
            encryption(entry.encryption),
            Tone::Plain.cell(format!("{}\n{}", ports(entry.matches), entry.description)),
        ]);
    }
    table
}

/// The protocols, each named once before its ports: `tcp 4444, 4567-4568; udp 4567`.
fn ports(matches: &[ServiceMatch]) -> String {
    let mut line = String::new();
    let mut before = None;
    for carried in matches {
        let text = carried.to_string();
        let protocol = carried.range().0;
        match text.split_once(' ') {
            Some((_, ports)) if before == Some(protocol) => {
                line.push_str(", ");
                line.push_str(ports);
            }
            _ if before.is_some() => {
                line.push_str("; ");
                line.push_str(&text);
            }
            _ => line.push_str(&text),
        }
        before = Some(protocol);
    }
    line
}

const fn opened_by(usual: Usual) -> &'static str {
    match usual {
        Usual::Inbound => "peer",
        Usual::Outbound => "host",
        Usual::Both => "either",
    }
}

fn encryption(encryption: Encryption) -> Cell {
    let tone = match encryption {
        Encryption::Encrypted => Tone::Good,
        Encryption::Plaintext => Tone::Warning,
        Encryption::Unknown => Tone::Quiet,
    };
    tone.cell(encryption.to_string())
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn every_service_has_its_line() {
        let entries: Vec<_> = catalogue().iter().collect();
        let mut out = Vec::new();
        show(&mut out, &entries, None).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        assert_eq!(text.lines().count(), catalogue().len() + 1);
        assert!(text.contains("ssh "), "{text}");
    }

    #[test]
    fn a_protocol_is_said_once_before_its_ports() {
        let written = |name| ports(catalogue::find(name).unwrap().matches);
        assert_eq!(written("galera"), "tcp 4444, 4567-4568; udp 4567");
        assert_eq!(written("ipsec"), "udp 500, 4500; esp; ah");
        assert_eq!(written("ping"), "icmp echo-request; icmpv6 echo-request");
    }

    #[test]
    fn every_line_fits_a_narrow_terminal() {
        let entries: Vec<_> = catalogue().iter().collect();
        let mut out = Vec::new();
        show(&mut out, &entries, Some(80)).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for entry in entries {
            assert!(
                text.contains(&format!("\n{} ", entry.name)),
                "{}",
                entry.name
            );
        }
    }
}
