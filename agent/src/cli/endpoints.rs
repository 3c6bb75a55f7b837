//! `manoward endpoints`

use std::io::{self, Write};

use clap::Args;
use comfy_table::Cell;
use manoward_api::{Count, EndpointEntry};

use super::{
    Context, Exit,
    output::{self, Format},
    quantity::{counted, grouped},
    table::{Column, Table},
    tone::Tone,
};

/// Most addresses of an endpoint shown in the table; JSON has more.
const SHOWN: usize = 3;

/// List the endpoints of the policy in force.
///
/// Shows the role and addresses of each, what it is bound to (identity, MAC address, VLAN,
/// interface), and how many packets came from it and went to it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward endpoints
  manoward endpoints --output json | jq '.endpoints[] | select(.received.passed.packets == 0).name'")]
pub struct Endpoints {}

pub async fn run(_: Endpoints, context: &Context) -> anyhow::Result<Exit> {
    let list = context.client.endpoints().await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &list)?,
        Format::Table => show(&mut out, &list.endpoints, output::width())?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, endpoints: &[EndpointEntry], width: Option<u16>) -> io::Result<()> {
    if endpoints.is_empty() {
        return writeln!(out, "There are no endpoints: no policy is in force.");
    }
    let mut table = Table::new([
        Column::Short("ENDPOINT"),
        Column::Short("ROLE"),
        Column::Long("ADDRESSES"),
        Column::Long("BOUND TO"),
        Column::Number("IN"),
        Column::Number("IN DROPPED"),
        Column::Number("OUT"),
        Column::Number("OUT DROPPED"),
    ]);
    for endpoint in endpoints {
        let (received, sent) = (endpoint.received, endpoint.sent);
        table.row([
            Tone::Strong.cell(&endpoint.name),
            Tone::Plain.cell(&endpoint.role),
            Tone::Plain.cell(addresses(endpoint)),
            Tone::Quiet.cell(binding(endpoint)),
            Tone::Plain.cell(packets(received.passed)),
            dropped(received.dropped),
            Tone::Plain.cell(packets(sent.passed)),
            dropped(sent.dropped),
        ]);
    }
    out.write_all(table.render(width).as_bytes())?;
    let seen = endpoints
        .iter()
        .filter(|endpoint| endpoint.received.passed.packets > 0);
    let summary = format!(
        "{}, {} of them seen; counts are packets",
        counted(endpoints.len(), "endpoint"),
        grouped(seen.count() as u64)
    );
    writeln!(out, "{}", Tone::Quiet.paint(summary))
}

fn packets(count: Count) -> String {
    grouped(count.packets)
}

fn dropped(count: Count) -> Cell {
    let tone = match count.packets {
        0 => Tone::Quiet,
        _ => Tone::Bad,
    };
    tone.cell(packets(count))
}

/// The first few addresses, and how many more there are.
fn addresses(endpoint: &EndpointEntry) -> String {
    let shown: Vec<&str> = endpoint
        .addresses
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect();
    match endpoint.address_count.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), grouped(more as u64)),
    }
}

/// What the endpoint is bound to besides its addresses.
fn binding(endpoint: &EndpointEntry) -> String {
    let vlan = endpoint.vlan.as_ref().map(|vlan| match vlan.as_str() {
        "untagged" => vlan.clone(),
        id => format!("VLAN {id}"),
    });
    let parts: Vec<String> = [
        endpoint.identity.clone(),
        endpoint.mac.clone(),
        vlan,
        (!endpoint.interfaces.is_empty()).then(|| endpoint.interfaces.join(" or ")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return "-".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use manoward_api::Fates;

    use super::*;

    fn endpoint(name: &str, addresses: usize, passed: u64) -> EndpointEntry {
        let listed = (1..=addresses.min(16)).map(|host| format!("192.0.2.{host}"));
        EndpointEntry {
            name: name.into(),
            role: "vim".into(),
            addresses: listed.collect(),
            address_count: addresses,
            identity: None,
            mac: Some("52:54:00:aa:bb:01".into()),
            vlan: Some("100.200".into()),
            interfaces: Vec::new(),
            received: Fates {
                passed: Count {
                    packets: passed,
                    bytes: 100 * passed,
                },
                dropped: Count::default(),
            },
            sent: Fates {
                passed: Count::default(),
                dropped: Count {
                    packets: 7,
                    bytes: 420,
                },
            },
        }
    }

    #[test]
    fn long_lists_are_counted() {
        assert_eq!(addresses(&endpoint("a", 2, 0)), "192.0.2.1, 192.0.2.2");
        assert_eq!(
            addresses(&endpoint("a", 1000, 0)),
            "192.0.2.1, 192.0.2.2, 192.0.2.3 and 997 more"
        );
    }

    #[test]
    fn bindings_are_told() {
        let mut bound = endpoint("a", 1, 0);
        assert_eq!(binding(&bound), "52:54:00:aa:bb:01, VLAN 100.200");
        bound.mac = None;
        bound.vlan = Some("untagged".into());
        bound.interfaces = vec!["eth0".into()];
        assert_eq!(binding(&bound), "untagged, eth0");
        bound.identity = Some("vim.example".into());
        assert_eq!(binding(&bound), "vim.example, untagged, eth0");
        bound.identity = None;
        bound.vlan = None;
        bound.interfaces = Vec::new();
        assert_eq!(binding(&bound), "-");
    }

    #[test]
    fn the_summary_counts_the_endpoints_seen() {
        let mut out = Vec::new();
        let endpoints = [endpoint("a", 1, 1_234_567), endpoint("b", 1, 0)];
        show(&mut out, &endpoints, None).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        assert!(
            text.contains("1,234,567           0    0            7\n"),
            "{text}"
        );
        assert!(
            text.ends_with("2 endpoints, 1 of them seen; counts are packets\n"),
            "{text}"
        );
    }

    #[test]
    fn without_a_policy_there_are_none() {
        let mut out = Vec::new();
        show(&mut out, &[], None).unwrap();
        assert!(
            str::from_utf8(&out)
                .unwrap()
                .starts_with("There are no endpoints")
        );
    }
}
