//! `manoward break-glass`

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::{Args, Subcommand};
use manoward_api::{BreakGlass as Glass, DoorOrder, GlassAccess, OpenDoor};

use super::{
    Context, Exit,
    output::{self, Format},
    policy::confirm::claim,
    quantity::{self, counted, grouped, span},
    table::{Column, Table},
    tone::Tone,
};

/// Let somebody in for a time, whatever the policy says.
///
/// For when nobody gets in any more. Who always gets in is named in agent.yaml (`rescue`) and in the policy
/// (`break_glass`). What only break glass lets in is counted as `break-glass`, and `status` calls it a
/// problem.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward break-glass open --for 15m --to ssh --from 198.51.100.9
  sudo manoward break-glass close
  manoward break-glass status")]
pub struct BreakGlass {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    Open(Open),
    Close(Close),
    Status(Status),
}

/// Open a door for a time; the kernel closes it by itself.
///
/// Only from the console of the host: its screen, its serial line, or what its management controller shows of
/// these. The door lets whole TCP, UDP or SCTP packets of one service in, and what answers them out; broken
/// ones stay dropped. It goes on without the agent, over changes of the policy, and not over a restart of the
/// host. Who opened it is kept in the history.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward break-glass open --for 15m --to ssh --from 198.51.100.9
  sudo manoward break-glass open --for 1h --to ssh --from 192.0.2.0/28 --mac 52:54:00:aa:bb:09
  sudo manoward break-glass open --for 5m --to ssh --from 198.51.100.9 -m \"ticket 4711\"")]
pub struct Open {
    /// For how long, such as 15m; at most 24h
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::parse_time)]
    term: Duration,

    /// The service that it opens, such as ssh
    #[arg(long = "to", value_name = "SERVICE")]
    service: String,

    /// Address or prefix that it opens to
    #[arg(long, value_name = "ADDRESS")]
    from: String,

    /// Source MAC address of the packets; useful within the host's own network
    #[arg(long, value_name = "MAC")]
    mac: Option<String>,

    /// Interface on which the packets arrive
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,

    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

/// Close every door that is open; from anywhere.
///
/// Connections that only a door let in end with it. Who always gets in, by agent.yaml and the policy, still
/// does.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward break-glass close
  sudo manoward break-glass close -m \"repaired\"")]
pub struct Close {
    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

/// Show who gets in whatever the policy says, and how much did.
///
/// Lists who always does, by agent.yaml and the policy, and the doors that are open for a time. Packets are
/// counted only if the policy refuses them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward break-glass status
  manoward break-glass status --output json | jq '.doors[].left_seconds'")]
pub struct Status {}

pub async fn open(args: Open, context: &Context) -> anyhow::Result<Exit> {
    let order = DoorOrder {
        for_seconds: args.term.as_secs(),
        service: args.service,
        from: args.from,
        mac: args.mac,
        interface: args.interface,
        by: claim(args.message),
    };
    let door = context.client.open_door(&order).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &door)?,
        Format::Table => {
            let what = format!("open for {}", span(door.left_seconds));
            let what = Tone::Warning.paint(what);
            writeln!(out, "{what}: {}", described(&door.access))?;
        }
    }
    Ok(Exit::Success)
}

pub async fn close(args: Close, context: &Context) -> anyhow::Result<Exit> {
    let closed = context.client.close_doors(&claim(args.message)).await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &closed)?,
        Format::Table => writeln!(out, "closed {}", counted(closed.closed, "door"))?,
    }
    Ok(Exit::Success)
}

pub async fn status(_: Status, context: &Context) -> anyhow::Result<Exit> {
    let glass = context.client.break_glass().await?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &glass)?,
        Format::Table => show(&mut out, &glass, output::width())?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, glass: &Glass, width: Option<u16>) -> io::Result<()> {
    if glass.standing.is_empty() && glass.doors.is_empty() {
        writeln!(out, "Nobody gets in but by the policy.")?;
    } else {
        let mut table = Table::new([
            Column::Long("FROM"),
            Column::Short("TO"),
            Column::Short("UNTIL"),
            Column::Long("BY"),
        ]);
        for door in &glass.doors {
            table.row([
                Tone::Strong.cell(from(&door.access)),
                Tone::Plain.cell(door.access.services.join(", ")),
                Tone::Warning.cell(format!("in {}", span(door.left_seconds))),
                Tone::Plain.cell(by(door)),
            ]);
        }
        for standing in &glass.standing {
            table.row([
                Tone::Strong.cell(from(&standing.access)),
                Tone::Plain.cell(standing.access.services.join(", ")),
                Tone::Quiet.cell("always"),
                Tone::Plain.cell(standing.source.clone()),
            ]);
        }
        out.write_all(table.render(width).as_bytes())?;
    }
    writeln!(
        out,
        "{} packets got in that the policy refuses",
        grouped(glass.packets)
    )
}

fn described(access: &GlassAccess) -> String {
    format!("{} from {}", access.services.join(", "), from(access))
}

fn from(access: &GlassAccess) -> String {
    let mut text = access.from.join(", ");
    if let Some(mac) = &access.mac {
        text = format!("{text} ({mac})");
    }
    if let Some(interface) = &access.interface {
        text = format!("{text} on {interface}");
    }
    text
}

fn by(door: &OpenDoor) -> String {
    let who = door.who.as_ref();
    let uid = who.and_then(|who| who.uid);
    let uid = uid.map_or_else(|| "?".to_owned(), |uid| uid.to_string());
    match who.and_then(|who| who.terminal.as_ref()) {
        Some(terminal) => format!("uid {uid} on {terminal}"),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn doors_and_who_always_gets_in_fit_a_terminal() {
        let glass: Glass = serde_json::from_value(serde_json::json!({
            "standing": [{ "from": ["198.51.100.2"], "services": ["ssh"], "source": "agent.yaml",
                           "mac": "52:54:00:aa:bb:99", "interface": "bond0" }],
            "doors": [{ "from": ["192.0.2.0/28"], "services": ["ssh"], "left_seconds": 65.0,
                        "opened": "2026-01-02T03:04:05Z", "who": { "uid": 0, "pid": 7, "terminal": "tty1" } }],
            "packets": 1234,
        }))
        .unwrap();
        let mut out = Vec::new();
        show(&mut out, &glass, Some(80)).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        for part in [
            "192.0.2.0/28",
            "in 1m 5s",
            "uid 0 on tty1",
            "always",
            "agent.yaml",
            "1,234 packets got in",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut out = Vec::new();
        show(&mut out, &Glass::default(), None).unwrap();
        assert!(str::from_utf8(&out).unwrap().starts_with("Nobody gets in"));
    }
}
