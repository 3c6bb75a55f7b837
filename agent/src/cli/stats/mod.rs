//! `manoward stats`

mod rows;
mod show;
mod watch;

use std::time::Duration;

use clap::{Args, ValueEnum};
use manoward_api::{self as api, Way};

use super::{
    Context, Exit,
    output::{self, Format},
};
use rows::Rows;

/// Show what passed, what was dropped, and why.
///
/// Every packet to or from a protected address is counted, exactly, since the programs were first
/// attached; restarts of the agent do not matter. `audited` packets violated the policy, and
/// passed because the mode is audit.
///
/// With --watch the counts are updated in place, with rates. If the output is no terminal, or with
/// --output json, each reading is one line of JSON.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward stats
  manoward stats --by endpoint
  manoward stats --direction out --by service
  manoward stats --watch
  manoward stats --watch 10 --output json >> counts.jsonl
  manoward stats --output json | jq '[.verdicts[] | select(.fate == \"dropped\").packets] | add'")]
pub struct Stats {
    /// Sum up by this [default: direction, reference point and reason]
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,

    /// Only packets to the host, or only those from it
    #[arg(long, value_enum, value_name = "in|out", hide_possible_values = true)]
    direction: Option<Direction>,

    /// Update the counts every SECONDS seconds [default: 2]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = interval
    )]
    watch: Option<Duration>,
}

/// What counts are summed up by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum By {
    /// Reference points
    ReferencePoint,
    /// Reasons
    Reason,
    /// Endpoints
    Endpoint,
    /// Services
    Service,
    /// Directions
    Direction,
    /// Where packets were judged: at an interface, or at the inner door
    Place,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Direction {
    /// To the host
    In,
    /// From the host
    Out,
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::In,
            Direction::Out => Self::Out,
        }
    }
}

/// Which counts are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// What they are summed up by.
    pub by: Option<By>,
    /// The direction shown; `None` shows both.
    pub direction: Option<Way>,
}

impl View {
    /// Whether the packets of `way` are shown.
    fn has(self, way: Way) -> bool {
        self.direction.is_none_or(|direction| direction == way)
    }

    /// `stats` without the other direction.
    fn restrict(self, mut stats: api::Stats) -> api::Stats {
        stats.verdicts.retain(|verdict| self.has(verdict.direction));
        for endpoint in &mut stats.endpoints {
            for (way, fates) in [
                (Way::In, &mut endpoint.received),
                (Way::Out, &mut endpoint.sent),
            ] {
                if !self.has(way) {
                    *fates = api::Fates::default();
                }
            }
        }
        stats
    }
}

pub async fn run(args: Stats, context: &Context) -> anyhow::Result<Exit> {
    let view = View {
        by: args.by,
        direction: args.direction.map(Way::from),
    };
    if let Some(every) = args.watch {
        return watch::run(view, every, context).await;
    }
    let stats = view.restrict(context.client.stats().await?);
    let mut out = output::stdout();
    match (context.format, view.by) {
        (Format::Json, None) => output::json(&mut out, &stats)?,
        (Format::Json, by) => output::json(&mut out, &Rows::of(&stats, by))?,
        (Format::Table, by) => show::table(&mut out, &Rows::of(&stats, by), None, output::width())?,
    }
    Ok(Exit::Success)
}

/// Reads an interval in seconds; fractions are allowed.
fn interval(text: &str) -> Result<Duration, String> {
    const LEAST: f64 = 0.1;
    const MOST: f64 = 86_400.0;
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if !(LEAST..=MOST).contains(&seconds) {
        return Err(format!("between {LEAST} and {MOST} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(interval("2"), Ok(Duration::from_secs(2)));
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "soon", "1e9"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
    #[test]
    fn the_other_direction_is_left_out() {
        let all = rows::tests::stats();
        assert_eq!(View::default().restrict(all.clone()).verdicts.len(), 5);
        let view = View {
            by: None,
            direction: Some(Way::Out),
        };
        let out = view.restrict(all);
        assert_eq!(out.verdicts.len(), 1);
        let vim = &out.endpoints[1];
        assert_eq!(vim.received, api::Fates::default());
        assert_eq!(vim.sent.passed.packets, 4);
    }
}
