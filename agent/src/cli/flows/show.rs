//! Flows as a table.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
};

use manoward_api::{FlowEntry, FlowList, Way};

use super::{Counted, groups::Groups};
use crate::cli::{
    quantity::{bytes, grouped, span},
    table::{Column, Table},
    tone::Tone,
};

/// Writes the flows, and how many there are.
pub fn flows(out: &mut impl Write, list: &FlowList, width: Option<u16>) -> io::Result<()> {
    if !list.flows.is_empty() {
        let mut table = Table::new([
            Column::Short("WAY"),
            Column::Short("PROTO"),
            Column::Long("LOCAL"),
            Column::Long("REMOTE"),
            Column::Short("STATE"),
            Column::Long("ENDPOINT"),
            Column::Long("REFERENCE POINT/SERVICE"),
            Column::Number("AGE"),
            Column::Number("IDLE"),
            Column::Number("SENT"),
            Column::Number("RECEIVED"),
        ]);
        for flow in &list.flows {
            table.row([
                Tone::Plain.cell(way(flow.direction)),
                Tone::Plain.cell(&flow.protocol),
                Tone::Plain.cell(end(flow.local, flow.local_port)),
                Tone::Strong.cell(end(flow.remote, flow.remote_port)),
                Tone::Plain.cell(&flow.state),
                named(flow.endpoint.as_deref()),
                named(rule(flow).as_deref()),
                known(flow.age_s.map(span), Tone::Plain),
                known(flow.idle_s.map(span), Tone::Quiet),
                known(flow.sent_bytes.map(bytes), Tone::Plain),
                known(flow.received_bytes.map(bytes), Tone::Plain),
            ]);
        }
        out.write_all(table.render(width).as_bytes())?;
    }
    let more = list.matching.saturating_sub(list.flows.len());
    if more > 0 {
        let more = format!("{} more, see --limit", grouped(more as u64));
        writeln!(out, "{}", Tone::Quiet.paint(more))?;
    }
    summary(out, Counted::of(list))
}

/// Writes the groups, and how many flows there are.
pub fn groups(out: &mut impl Write, groups: &Groups, width: Option<u16>) -> io::Result<()> {
    if !groups.rows.is_empty() {
        let mut table = Table::new([
            heading(groups.field),
            Column::Number("FLOWS"),
            Column::Number("SENT"),
            Column::Number("RECEIVED"),
        ]);
        for row in &groups.rows {
            table.row([
                named(row.name.as_deref()),
                Tone::Plain.cell(grouped(row.sum.flows)),
                Tone::Plain.cell(bytes(row.sum.sent_bytes)),
                Tone::Plain.cell(bytes(row.sum.received_bytes)),
            ]);
        }
        out.write_all(table.render(width).as_bytes())?;
    }
    summary(out, groups.counted)
}

fn heading(field: &str) -> Column {
    match field {
        "endpoint" => Column::Long("ENDPOINT"),
        "service" => Column::Long("SERVICE"),
        "state" => Column::Long("STATE"),
        "protocol" => Column::Long("PROTOCOL"),
        _ => Column::Long("ROLE"),
    }
}

const fn way(direction: Way) -> &'static str {
    match direction {
        Way::In => "in",
        Way::Out => "out",
    }
}

/// What may not be known.
fn known(value: Option<String>, tone: Tone) -> comfy_table::Cell {
    match value {
        Some(value) => tone.cell(value),
        None => Tone::Quiet.cell("-"),
    }
}

fn named(name: Option<&str>) -> comfy_table::Cell {
    match name {
        Some(name) => Tone::Plain.cell(name),
        None => Tone::Quiet.cell("-"),
    }
}

/// An end of a flow; protocols without ports have port 0.
fn end(address: IpAddr, port: u16) -> String {
    match port {
        0 => address.to_string(),
        _ => SocketAddr::new(address, port).to_string(),
    }
}

/// The rule that permits a flow: `reference point/service`.
fn rule(flow: &FlowEntry) -> Option<String> {
    let point = flow.reference_point.as_ref()?;
    Some(match &flow.service {
        Some(service) => format!("{point}/{service}"),
        None => point.clone(),
    })
}

fn summary(out: &mut impl Write, counted: Counted) -> io::Result<()> {
    let [matching, open, room] =
        [counted.matching, counted.open, counted.capacity].map(|number| grouped(number as u64));
    let text = format!("{matching} of {open} flows, room for {room}");
    writeln!(out, "{}", Tone::Quiet.paint(text))
}

#[cfg(test)]
pub mod tests {
    use anstream::adapter::strip_str;

    use super::{super::By, *};

    pub fn list() -> FlowList {
        serde_json::from_value(serde_json::json!({
            "flows": [
                { "direction": "out", "protocol": "tcp", "local": "2001:db8::1", "local_port": 40000,
                  "remote": "2001:db8::10", "remote_port": 443, "state": "tcp-established",
                  "endpoint": "vim-1", "role": "vim", "reference_point": "Nf-Vi-out",
                  "service": "https", "age_s": 3725.5, "idle_s": 0.2, "expires_s": 431_999.8,
                  "sent_bytes": 1_234_567, "received_bytes": 999 },
                { "direction": "out", "protocol": "udp", "local": "192.0.2.1", "local_port": 40001,
                  "remote": "203.0.113.9", "remote_port": 53, "state": "udp-opening",
                  "endpoint": null, "role": null, "reference_point": null, "service": null,
                  "age_s": 12.0, "idle_s": 12.0, "expires_s": 18.0,
                  "sent_bytes": 60, "received_bytes": 0 },
            ],
            "matching": 12, "open": 340, "capacity": 65_536,
        }))
        .unwrap()
    }

    fn shown(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn ends_owner_and_rule() {
        let text = shown(|out| flows(out, &list(), None));
        assert!(
            text.contains(
                "out  tcp    [2001:db8::1]:40000  [2001:db8::10]:443  tcp-established  vim-1"
            ),
            "{text}"
        );
        assert!(text.contains("Nf-Vi-out/https"), "{text}");
        assert!(text.contains("1h 2m    0s  1.2 MB     999 B\n"), "{text}");
        assert!(
            text.ends_with("10 more, see --limit\n12 of 340 flows, room for 65,536\n"),
            "{text}"
        );
    }

    #[test]
    fn without_flows_there_is_the_summary() {
        let mut none = list();
        none.flows.clear();
        none.matching = 0;
        let text = shown(|out| flows(out, &none, None));
        assert_eq!(text, "0 of 340 flows, room for 65,536\n");
    }

    #[test]
    fn groups_are_counted() {
        let groups_by_role = Groups::of(&list(), By::Role);
        assert_eq!(
            shown(|out| groups(out, &groups_by_role, None)),
            "ROLE  FLOWS    SENT  RECEIVED\n\
             vim       1  1.2 MB     999 B\n\
             -         1    60 B       0 B\n\
             12 of 340 flows, room for 65,536\n"
        );
    }

    #[test]
    fn protocols_without_ports_have_addresses_only() {
        assert_eq!(end("192.0.2.1".parse().unwrap(), 0), "192.0.2.1");
        assert_eq!(end("::1".parse().unwrap(), 22), "[::1]:22");
    }
}
