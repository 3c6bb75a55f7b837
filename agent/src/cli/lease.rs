//! `manoward lease`

use std::io::{self, Write};

use clap::{Args, Subcommand};
use manoward_api::{LeaseEntry, LeaseList, RefusedCount, Revocation};

use super::{
    Context, Exit,
    output::{self, Format},
    quantity::{counted, grouped},
    table::{Column, Table},
    tone::Tone,
};

/// List and revoke the leases of enrolled endpoints.
///
/// An endpoint with `authenticate: certificate` is admitted only while it holds a lease, which its
/// `manoward join` obtains and renews.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward lease list
  manoward lease revoke vim-1")]
pub struct Lease {
    /// What to do with leases
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with leases.
#[derive(Subcommand)]
pub enum Command {
    List(List),
    Revoke(Revoke),
}

/// List the leases in force, and how often a proof was refused.
///
/// Shows the identity that was proven, from which address, MAC address and interface, when the
/// lease expires unless it is renewed, and until when the certificate is valid. After a restart of the
/// agent, leases are listed whose certificates were verified again; their endpoints come back.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward lease list
  manoward lease list --output json | jq '.leases[] | select(.expires_in_seconds < 10)'")]
pub struct List {}

/// End the leases of an endpoint; its connections end with them.
///
/// The endpoint's identity gets no new lease for some time (--for), also under another name and
/// after a restart; without this, its `manoward join` would get one at once. `--for 0` takes that
/// back. To keep it out for good, revoke its certificate or remove it from the policy.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward lease revoke vim-1
  manoward lease revoke vim-1 --for 0")]
pub struct Revoke {
    /// Name of the endpoint
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,

    /// Seconds during which the endpoint gets no new lease; 0 lets it back in
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 600)]
    barred_seconds: u64,
}

pub async fn list(_: List, context: &Context) -> anyhow::Result<Exit> {
    let list = context.client.leases().await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &list)?,
        Format::Table => show(&mut out, &list, output::width())?,
    }
    Ok(Exit::Success)
}

pub async fn revoke(args: Revoke, context: &Context) -> anyhow::Result<Exit> {
    let revocation = Revocation {
        endpoint: args.endpoint,
        barred_seconds: args.barred_seconds,
    };
    let revoked = context.client.revoke(&revocation).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &revoked)?,
        Format::Table => writeln!(
            out,
            "{} of {} ended; it gets no new one for {}.",
            counted(revoked.leases, "lease"),
            revocation.endpoint,
            counted(
                usize::try_from(revocation.barred_seconds).unwrap_or(usize::MAX),
                "second"
            )
        )?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, list: &LeaseList, width: Option<u16>) -> io::Result<()> {
    if list.leases.is_empty() {
        writeln!(out, "No endpoint holds a lease.")?;
    } else {
        let mut table = Table::new([
            Column::Short("ENDPOINT"),
            Column::Short("ROLE"),
            Column::Long("IDENTITY"),
            Column::Short("ADDRESS"),
            Column::Long("FROM"),
            Column::Number("ENDS IN"),
            Column::Short("CERTIFICATE UNTIL"),
        ]);
        for lease in &list.leases {
            table.row([
                Tone::Strong.cell(&lease.endpoint),
                Tone::Plain.cell(&lease.role),
                Tone::Plain.cell(&lease.identity),
                Tone::Plain.cell(lease.address.to_string()),
                Tone::Quiet.cell(origin(lease)),
                Tone::Plain.cell(format!("{} s", lease.expires_in_seconds)),
                Tone::Plain.cell(&lease.not_after),
            ]);
        }
        out.write_all(table.render(width).as_bytes())?;
    }
    for bar in &list.barred {
        let who = bar
            .endpoint
            .as_deref()
            .unwrap_or("no endpoint of the policy");
        let until = bar.until.as_ref();
        let until = until.map_or_else(|| "for good".to_owned(), |until| format!("until {until}"));
        let line = format!("barred {until}: {} ({who})", bar.identity);
        writeln!(out, "{}", Tone::Warning.paint(line))?;
    }
    if !list.refused.is_empty() {
        let summary = format!("refused: {}", refusals(&list.refused));
        writeln!(out, "{}", Tone::Warning.paint(summary))?;
    }
    Ok(())
}

/// Counts of refused proofs by reason: `3 unknown-ca, 1 revoked`.
pub fn refusals(refused: &[RefusedCount]) -> String {
    let each = refused.iter();
    let each = each.map(|refused| format!("{} {}", grouped(refused.count), refused.reason));
    each.collect::<Vec<String>>().join(", ")
}

fn origin(lease: &LeaseEntry) -> String {
    let interface = lease.interface.clone();
    let interface = interface.unwrap_or_else(|| format!("interface {}", lease.ifindex));
    let router = if lease.routed { "router " } else { "" };
    format!("{router}{} on {interface}", lease.mac)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: serde_json::Value) -> String {
        let list = serde_json::from_value(value).unwrap();
        let mut out = Vec::new();
        show(&mut out, &list, None).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn leases_are_shown_with_their_origin() {
        let text = shown(json!({
            "leases": [{
                "endpoint": "vim-1", "role": "vim", "identity": "spiffe://operator.example/vim/1",
                "address": "192.0.2.10", "mac": "52:54:00:aa:bb:01", "ifindex": 2,
                "interface": "eth0", "since": "2026-01-02T03:04:05Z", "expires_in_seconds": 57,
                "serial": "0a", "fingerprint": "0b", "not_after": "2027-01-02T03:04:05Z",
            }],
            "refused": [{ "reason": "unknown-ca", "count": 3 }],
        }));
        assert!(text.contains("vim-1"), "{text}");
        assert!(text.contains("52:54:00:aa:bb:01 on eth0"), "{text}");
        assert!(!text.contains("router"), "{text}");
        assert!(text.contains("57 s"), "{text}");
        assert!(text.contains("refused: 3 unknown-ca"), "{text}");
    }

    #[test]
    fn who_is_barred_is_shown_with_the_end_of_that() {
        let text = shown(json!({
            "leases": [], "refused": [],
            "barred": [
                { "identity": "vim.example", "endpoint": "vim-1", "until": "2026-01-02T03:04:05Z" },
                { "identity": "old.example", "endpoint": null, "until": null },
            ],
        }));
        assert!(
            text.contains("barred until 2026-01-02T03:04:05Z: vim.example (vim-1)"),
            "{text}"
        );
        assert!(text.contains("barred for good: old.example"), "{text}");
    }

    #[test]
    fn no_lease_is_a_sentence() {
        let text = shown(json!({ "leases": [], "refused": [] }));
        assert_eq!(text, "No endpoint holds a lease.\n");
    }
}
