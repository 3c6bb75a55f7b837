//! `manoward services`

use std::io::{self, Write};

use clap::Args;
use comfy_table::Cell;
use manoward::policy::{CatalogueEntry, Encryption, catalogue, catalogue::Usual};

use super::{
    Context, Exit,
    output::{self, Format},
    table::{Column, Table},
    tone::Tone,
};

/// Columns of a terminal on which peers can be shown beside all else.
const ROOM_FOR_PEERS: u16 = 110;

/// List the built-in services.
///
/// A policy names them without defining them, and defines its own beside them. This needs no
/// agent.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward services
  manoward services libvirt
  manoward services --output json | jq -r '.[] | select(.encryption == \"plaintext\").name'")]
pub struct Services {
    /// Only those whose name, peer or description contains this
    #[arg(value_name = "WORD")]
    word: Option<String>,
}

pub fn run(args: Services, context: &Context) -> anyhow::Result<Exit> {
    let word = args.word.unwrap_or_default().to_lowercase();
    let entries: Vec<_> = catalogue()
        .iter()
        .filter(|entry| contains(entry, &word))
        .collect();
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &entries)?,
        Format::Table if entries.is_empty() => writeln!(out, "No service is about `{word}`.")?,
        Format::Table => show(&mut out, &entries, output::width())?,
    }
    Ok(Exit::Success)
}

fn contains(entry: &CatalogueEntry, word: &str) -> bool {
    [entry.name, entry.peer, entry.description]
        .iter()
        .any(|text| text.to_lowercase().contains(word))
}

fn show(out: &mut impl Write, entries: &[&CatalogueEntry], width: Option<u16>) -> io::Result<()> {
    let has_room = width.is_none_or(|columns| columns >= ROOM_FOR_PEERS);
    let mut columns = vec![
        Column::Short("SERVICE"),
        Column::Short("OPENED BY"),
        Column::Long("PORTS"),
        Column::Short("ENCRYPTION"),
        Column::Long("WHAT IT IS"),
    ];
    if has_room {
        columns.push(Column::Long("PEER"));
    }
    let mut table = Table::new(columns);
    for entry in entries {
        let matches: Vec<String> = entry.matches.iter().map(ToString::to_string).collect();
        let mut cells = vec![
            Tone::Strong.cell(entry.name),
            Tone::Plain.cell(opened_by(entry.usual)),
            Tone::Plain.cell(matches.join(", ")),
            encryption(entry.encryption),
            Tone::Plain.cell(entry.description),
        ];
        if has_room {
            cells.push(Tone::Quiet.cell(entry.peer));
        }
        table.row(cells);
    }
    out.write_all(table.render(width).as_bytes())?;
    if !has_room {
        let hint = "A wider terminal, or JSON, also shows who is at the other end.";
        writeln!(out, "{}", Tone::Quiet.paint(hint))?;
    }
    Ok(())
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
    fn a_word_selects() {
        let named = |word| {
            catalogue()
                .iter()
                .filter(|entry| contains(entry, word))
                .count()
        };
        assert_eq!(named("libvirt-t"), 2);
        assert_eq!(named("gre"), 1);
        assert_eq!(named(""), catalogue().len());
    }
}
