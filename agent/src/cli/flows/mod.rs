//! `manoward flows`, `manoward flows cut`

mod cut;
mod groups;
mod show;

use std::io::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use manoward_api::{FlowList, FlowQuery, Way};
use serde::Serialize;

use super::{
    Context, Exit,
    output::{self, Format},
    port::parse_port,
    quantity::grouped,
};
use groups::Groups;

/// Most flows in the table if --limit is not given.
const SHOWN: usize = 100;

/// List connections: those that the host opened, and those that peers did, or cut them.
///
/// Shows who has begun each, both ends, its state, the peer's endpoint, the rule that permits it, its age,
/// how long it has been idle, and its bytes, as far as they are known. The most recent ones come first. A
/// flow is listed if it matches all options given.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  manoward flows
  manoward flows --direction in --port 22
  manoward flows --endpoint vim-1 --state tcp-established
  manoward flows --address 2001:db8::/64 --port 443
  manoward flows --by endpoint
  manoward flows --service dns --count
  manoward flows --output json | jq '.flows[] | select(.endpoint == null).remote'
  manoward flows cut --endpoint vim-1 --port 22 --yes"
)]
pub struct Flows {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    selectors: Selectors,

    /// List at most this many; 0 lists all [default: 100, or all with --output json]
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["count", "by"])]
    limit: Option<usize>,

    /// Only print how many there are
    #[arg(long, conflicts_with = "by")]
    count: bool,

    /// Group by this, with the number of flows and their bytes
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,
}

#[derive(Subcommand)]
enum Action {
    Cut(cut::Cut),
}

/// Which connections are meant.
#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
struct Selectors {
    /// Only those with this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,

    /// Only those with endpoints of this role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,

    /// Only those that this reference point permits
    #[arg(long, value_name = "NAME")]
    reference_point: Option<String>,

    /// Only those that use this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Only those of this protocol: tcp, udp, sctp, another name, or its number
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,

    /// Only those with this address, or with one in this prefix, at either end
    #[arg(long, visible_alias = "from", value_name = "ADDRESS")]
    address: Option<String>,

    /// Only those with this port at either end
    #[arg(long, value_name = "PORT", value_parser = parse_port)]
    port: Option<u16>,

    /// Only those in this state, such as tcp-established
    #[arg(long, value_name = "STATE")]
    state: Option<String>,

    /// Only those that a peer has begun (in), or the host (out)
    #[arg(long, value_enum, value_name = "WAY")]
    direction: Option<Direction>,
}

/// Who has begun a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Direction {
    /// A peer
    In,
    /// The host
    Out,
}

impl Selectors {
    /// The query that is sent to the agent.
    fn query(self, limit: Option<usize>) -> FlowQuery {
        FlowQuery {
            endpoint: self.endpoint,
            role: self.role,
            reference_point: self.reference_point,
            service: self.service,
            protocol: self.protocol,
            address: self.address,
            port: self.port,
            state: self.state,
            direction: self.direction.map(|direction| match direction {
                Direction::In => Way::In,
                Direction::Out => Way::Out,
            }),
            limit,
        }
    }
}

/// What flows are grouped by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum By {
    /// Endpoints
    Endpoint,
    /// Services
    Service,
    /// States
    State,
    /// Protocols
    Protocol,
    /// Roles
    Role,
}

/// How many flows there are.
#[derive(Clone, Copy, Debug, Serialize)]
struct Counted {
    /// Those that match the query.
    matching: usize,
    /// All.
    open: usize,
    /// Number of flows that the table is sized for.
    capacity: usize,
}

impl Counted {
    /// The numbers of `list`.
    const fn of(list: &FlowList) -> Self {
        Self {
            matching: list.matching,
            open: list.open,
            capacity: list.capacity,
        }
    }
}

impl Flows {
    /// The query that is sent to the agent.
    fn query(self, format: Format) -> FlowQuery {
        let limit = limit(&self, format);
        self.selectors.query(limit)
    }
}

/// How many flows are asked for; `None` for all.
fn limit(args: &Flows, format: Format) -> Option<usize> {
    match (args.limit, format) {
        _ if args.count => Some(0),
        _ if args.by.is_some() => None,
        (Some(0), _) | (None, Format::Json) => None,
        (None, Format::Table) => Some(SHOWN),
        (some, _) => some,
    }
}

pub async fn run(args: Flows, context: &Context) -> anyhow::Result<Exit> {
    if let Some(Action::Cut(args)) = args.action {
        return cut::run(args, context).await;
    }
    let (by, count) = (args.by, args.count);
    let list = context.client.flows(&args.query(context.format)).await?;
    let mut out = output::stdout();
    match (context.format, by) {
        (Format::Json, _) if count => output::json(&mut out, &Counted::of(&list))?,
        (Format::Table, _) if count => writeln!(out, "{}", grouped(list.matching as u64))?,
        (Format::Json, None) => output::json(&mut out, &list)?,
        (Format::Json, Some(by)) => output::json(&mut out, &Groups::of(&list, by))?,
        (Format::Table, None) => show::flows(&mut out, &list, output::width())?,
        (Format::Table, Some(by)) => {
            show::groups(&mut out, &Groups::of(&list, by), output::width())?;
        }
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(options: &str, format: Format) -> FlowQuery {
        let line = format!("manoward flows {options}");
        let Command::Flows(flows) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("{line}");
        };
        flows.query(format)
    }

    #[test]
    fn the_table_is_limited_and_json_is_not() {
        assert_eq!(asked("", Format::Table).limit, Some(SHOWN));
        assert_eq!(asked("", Format::Json).limit, None);
        assert_eq!(asked("--limit 7", Format::Json).limit, Some(7));
        assert_eq!(asked("--limit 0", Format::Table).limit, None);
        assert_eq!(asked("--by state", Format::Table).limit, None);
        assert_eq!(asked("--count", Format::Json).limit, Some(0));
    }

    #[test]
    fn options_are_asked_for() {
        let query = asked("--role vim --port 443 --address ::1", Format::Table);
        assert_eq!(query.role.as_deref(), Some("vim"));
        assert_eq!(query.port, Some(443));
        assert_eq!(query.address.as_deref(), Some("::1"));
        assert_eq!(query.state, None);
    }
}
