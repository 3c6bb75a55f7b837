//! Counts as a table.

use std::{
    io::{self, Write},
    time::Duration,
};

use manoward_api::{Count, Fate};

use super::rows::{Row, Rows};
use crate::cli::{
    quantity::{bit_rate, bytes, grouped, per_second},
    table::{Column, Table},
    tone::Tone,
};

/// An earlier reading, and how long ago it was.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    pub rows: &'a Rows,
    pub ago: Duration,
}

/// What the columns of rates show.
#[derive(Clone, Copy, Debug)]
pub enum Rates<'a> {
    /// Nothing yet: there is no earlier reading.
    Unknown,
    /// The difference to an earlier reading.
    Since(Before<'a>),
}

/// Writes the counts; with `rates`, the rates replace the bytes.
pub fn table(
    out: &mut impl Write,
    rows: &Rows,
    rates: Option<Rates<'_>>,
    width: Option<u16>,
) -> io::Result<()> {
    if rows.sums.is_empty() {
        return match rows.fields {
            ["endpoint", ..] => writeln!(out, "No endpoint was seen yet."),
            _ => writeln!(out, "No packet was counted yet."),
        };
    }
    let mut columns: Vec<Column> = rows.fields.iter().map(|field| heading(field)).collect();
    columns.extend([Column::Short("FATE"), Column::Number("PACKETS")]);
    match rates {
        None => columns.push(Column::Number("BYTES")),
        Some(_) => columns.extend([Column::Number("PACKETS/S"), Column::Number("RATE")]),
    }
    let mut table = Table::new(columns);
    for row in &rows.sums {
        let keys = row.key.iter().map(|part| match part {
            Some(name) => Tone::Plain.cell(name),
            None => Tone::Quiet.cell("-"),
        });
        let mut cells: Vec<_> = keys.collect();
        cells.push(Tone::of(row.fate).cell(name(row.fate)));
        cells.push(Tone::Plain.cell(grouped(row.count.packets)));
        match rates {
            None => cells.push(Tone::Plain.cell(bytes(row.count.bytes))),
            Some(rates) => cells.extend(rates_of(row, rates).map(|text| Tone::Plain.cell(text))),
        }
        table.row(cells);
    }
    out.write_all(table.render(width).as_bytes())?;
    writeln!(out, "{}", Tone::Quiet.paint(totals(rows)))
}

fn heading(field: &str) -> Column {
    match field {
        "direction" => Column::Short("DIRECTION"),
        "reference_point" => Column::Long("REFERENCE POINT"),
        "reason" => Column::Long("REASON"),
        "endpoint" => Column::Long("ENDPOINT"),
        _ => Column::Long("SERVICE"),
    }
}

const fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::Passed => "passed",
        Fate::Dropped => "dropped",
        Fate::Audited => "audited",
    }
}

/// Packets and bits per second.
fn rates_of(row: &Row, rates: Rates<'_>) -> [String; 2] {
    let Rates::Since(Before { rows, ago }) = rates else {
        return ["-".to_owned(), "-".to_owned()];
    };
    let same = |before: &&Row| before.key == row.key && before.fate == row.fate;
    let before = rows
        .sums
        .iter()
        .find(same)
        .map_or(Count::default(), |row| row.count);
    // A counter restarts from zero when the policy gives its index to another rule.
    let packets = row.count.packets.saturating_sub(before.packets);
    let bytes = row.count.bytes.saturating_sub(before.bytes);
    [grouped(per_second(packets, ago)), bit_rate(bytes, ago)]
}

/// The totals in one line.
fn totals(rows: &Rows) -> String {
    let passed = rows.total(Fate::Passed);
    let dropped = rows.total(Fate::Dropped);
    let audited = rows.total(Fate::Audited);
    let mut line = format!("passed {}", amount(passed));
    if audited.packets > 0 {
        line = format!("{line}, audited {}", amount(audited));
    }
    match dropped.packets {
        0 => format!("{line}; nothing was dropped yet"),
        _ => format!("{line}, dropped {}", amount(dropped)),
    }
}

fn amount(count: Count) -> String {
    format!("{} ({})", grouped(count.packets), bytes(count.bytes))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::cli::stats::rows::tests::stats;

    fn shown(rows: &Rows, rates: Option<Rates<'_>>) -> String {
        let mut out = Vec::new();
        table(&mut out, rows, rates, None).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn counts_and_totals() {
        assert_eq!(
            shown(&Rows::of(&stats(), None), None),
            "DIRECTION  REFERENCE POINT  REASON      FATE       PACKETS   BYTES\n\
             in         Nf-Vi            permitted   passed   1,234,567  123 MB\n\
             in         Nf-Vi            wrong-role  audited          1    60 B\n\
             in         -                no-service  dropped          3   180 B\n\
             out        Nf-Vi-out        outbound    passed           4   240 B\n\
             passed 1,234,571 (123 MB), audited 1 (60 B), dropped 3 (180 B)\n"
        );
    }

    #[test]
    fn rates_are_differences() {
        let before = Rows::of(&stats(), None);
        let mut later = stats();
        later.verdicts[1].count.packets += 500;
        later.verdicts[1].count.bytes += 250_000;
        later.verdicts[0].count = Count {
            packets: 1,
            bytes: 60,
        };
        let before = Before {
            rows: &before,
            ago: Duration::from_secs(2),
        };
        let text = shown(&Rows::of(&later, None), Some(Rates::Since(before)));
        assert!(
            text.contains("1,235,067        250  1.0 Mbit/s\n"),
            "{text}"
        );
        assert!(
            text.contains("dropped          1          0     0 bit/s\n"),
            "{text}"
        );
        let first = shown(&Rows::of(&later, None), Some(Rates::Unknown));
        assert!(first.contains("1,235,067          -     -\n"), "{first}");
    }

    #[test]
    fn without_packets_it_says_so() {
        let mut nothing = stats();
        nothing.verdicts.clear();
        assert_eq!(
            shown(&Rows::of(&nothing, None), None),
            "No packet was counted yet.\n"
        );
        let mut harmless = stats();
        harmless.verdicts.drain(..1);
        let text = shown(&Rows::of(&harmless, None), None);
        assert!(text.ends_with("; nothing was dropped yet\n"), "{text}");
    }
}
