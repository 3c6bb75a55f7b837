//! Counts that are updated: in place on a terminal, as lines of JSON elsewhere.

use std::{
    env,
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use manoward::control::client::ClientError;
use manoward_api as api;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    By, Rows, View,
    show::{self, Before, Rates},
};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    prose,
    tone::Tone,
};

pub async fn run(view: View, every: Duration, context: &Context) -> anyhow::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let in_place = context.format == Format::Table && can_move();
    let mut screen = Screen::default();
    loop {
        let next = async {
            ticks.tick().await;
            let stats = context.client.stats().await;
            stats.map(|stats| view.restrict(stats))
        };
        let stats = tokio::select! {
            _ = interrupt.recv() => break,
            stats = next => stats,
        };
        if in_place {
            screen.show(stats, view.by, every)?;
        } else {
            line(&stats?, view.by)?;
        }
    }
    if in_place {
        writeln!(io::stdout())?;
    }
    Ok(Exit::Success)
}

fn line(stats: &api::Stats, by: Option<By>) -> io::Result<()> {
    let mut out = output::stdout();
    match by {
        None => output::json_line(&mut out, stats),
        by => output::json_line(&mut out, &Rows::of(stats, by)),
    }
}

/// Whether the cursor can be moved.
fn can_move() -> bool {
    output::is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What is on the terminal.
#[derive(Default)]
struct Screen {
    /// Lines above the cursor that the next output replaces.
    lines: usize,
    /// The counts shown, and when they were read.
    before: Option<(Rows, Instant)>,
}

impl Screen {
    /// Shows new counts. If the agent does not answer, waits for it: the counters survive its
    /// restart.
    fn show(
        &mut self,
        stats: Result<api::Stats, ClientError>,
        by: Option<By>,
        every: Duration,
    ) -> anyhow::Result<()> {
        let now = Instant::now();
        let text = match stats {
            Ok(stats) => {
                let rows = Rows::of(&stats, by);
                let text = self.table(&rows, now, every)?;
                self.before = Some((rows, now));
                text
            }
            Err(error) if self.before.is_some() && error.failure().is_none() => {
                let text = format!("{error}. Trying again; Ctrl-C ends.");
                let text = prose::indented(&text, "", output::text_width());
                format!("{}\n", Tone::Warning.paint(text))
            }
            Err(error) => return Err(error.into()),
        };
        let height = console::Term::stdout().size_checked();
        let text = fitting(&text, height.map(|(rows, _)| rows.into()));
        let text = match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => strip_str(&text).to_string(),
            _ => text,
        };
        let mut out = io::stdout().lock();
        out.write_all(replacing(self.lines, &text).as_bytes())?;
        out.flush()?;
        self.lines = text.lines().count();
        Ok(())
    }

    fn table(&self, rows: &Rows, now: Instant, every: Duration) -> io::Result<String> {
        let rates = self.before.as_ref().map_or(Rates::Unknown, |(rows, when)| {
            Rates::Since(Before {
                rows,
                ago: now - *when,
            })
        });
        let mut text = Vec::new();
        let title = format!(
            "{}, every {} s; Ctrl-C ends",
            rows.time,
            every.as_secs_f64()
        );
        writeln!(text, "{}", Tone::Quiet.paint(title))?;
        show::table(&mut text, rows, Some(rates), output::width())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The lines of `text` that fit into a terminal of `height` lines: lines that scrolled out cannot
/// be replaced.
fn fitting(text: &str, height: Option<usize>) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let Some(room) = height.map(|height| height.saturating_sub(2)) else {
        return text.to_owned();
    };
    if lines.len() <= room {
        return text.to_owned();
    }
    let more = lines.len() - room;
    let mut shown = lines[..room].join("\n");
    let _ = writeln!(
        shown,
        "\n... and {more} more lines; enlarge the terminal, or use --by"
    );
    shown
}

/// Output that replaces the last `lines` lines of the terminal by `text`.
fn replacing(lines: usize, text: &str) -> String {
    let mut frame = String::new();
    if lines > 0 {
        let _ = write!(frame, "\r\x1b[{lines}A");
    }
    for line in text.lines() {
        let _ = writeln!(frame, "{line}\x1b[K");
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_are_written_over() {
        assert_eq!(replacing(0, "a\n"), "a\x1b[K\n\x1b[J");
        assert_eq!(replacing(3, "a\nb\n"), "\r\x1b[3Aa\x1b[K\nb\x1b[K\n\x1b[J");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let text = "1\n2\n3\n4\n5\n6\n";
        assert_eq!(fitting(text, Some(8)), text);
        assert_eq!(fitting(text, None), text);
        let shown = fitting(text, Some(6));
        assert_eq!(shown.lines().count(), 5);
        assert!(shown.contains("... and 2 more lines"), "{shown}");
    }
}
