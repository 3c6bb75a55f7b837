//! Verdicts on all frames of a capture.

use std::{collections::BTreeMap, fmt::Write as _, io::Write, path::Path};

use manoward::{
    control::client::{Client, ClientError},
    explain::capture::{Capture, Captured},
};
use manoward_api::{Explanation, Fate, Question, Way};
use serde::Serialize;

use super::{packet, show};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity::{counted, grouped},
    table::{Column, Table},
    tone::Tone,
};

/// The result for one frame.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Judgement {
    Explanation(Box<Explanation>),
    Disagreement(String),
    Error(String),
}

/// A frame with its judgement: a line of JSON.
#[derive(Debug, Serialize)]
struct Line {
    /// Number of the frame in the capture, from 1, as other tools count.
    number: u64,
    /// Whether the capture has all of the frame.
    whole: bool,
    #[serde(skip)]
    packet: String,
    #[serde(flatten)]
    judgement: Judgement,
}

/// Judges the frames of `file`, each as if it arrived on `interface`, or left by it.
pub async fn run(
    file: &Path,
    interface: Option<&str>,
    direction: Way,
    context: &Context,
) -> anyhow::Result<Exit> {
    let capture = Capture::open(file)?;
    let mut summary = Summary::default();
    let width = output::width();
    for (number, captured) in (1..).zip(capture) {
        let line = match captured? {
            Captured::OtherLink(link) => Line {
                number,
                whole: true,
                packet: format!("a link of type {link:?}"),
                judgement: Judgement::Error("only Ethernet frames can be judged".to_owned()),
            },
            Captured::Frame { bytes, whole, .. } => Line {
                number,
                whole,
                packet: packet::described(&bytes),
                judgement: judge(&context.client, &bytes, interface, direction).await?,
            },
        };
        summary.add(&line);
        let mut out = output::stdout();
        match context.format {
            Format::Json => output::json_line(&mut out, &line)?,
            Format::Table => writeln!(out, "{}", shown(&line, width))?,
        }
    }
    if context.format == Format::Table {
        summary.show(&mut output::stdout())?;
    }
    Ok(summary.exit())
}

/// Asks the agent about one frame. An error means that the other frames cannot be judged either,
/// such as an agent that does not answer.
async fn judge(
    client: &Client,
    frame: &[u8],
    interface: Option<&str>,
    direction: Way,
) -> Result<Judgement, ClientError> {
    let mut hex = String::with_capacity(2 * frame.len());
    for byte in frame {
        let _ = write!(hex, "{byte:02x}");
    }
    let interface = interface.map(str::to_owned);
    match client
        .explain(&Question::Frame {
            hex,
            interface,
            direction,
        })
        .await
    {
        Ok(explanation) => Ok(Judgement::Explanation(Box::new(explanation))),
        Err(ClientError::Failed(failure)) if failure.code == "disagreement" => {
            Ok(Judgement::Disagreement(failure.message))
        }
        Err(ClientError::Failed(failure)) if failure.code == "bad-request" => {
            Ok(Judgement::Error(failure.message))
        }
        Err(error) => Err(error),
    }
}

const fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Passed => "passed",
        Fate::Dropped => "dropped",
        Fate::Audited => "audited",
    }
}

/// A frame's line in the table; the rule is left out if it does not fit.
fn shown(line: &Line, width: Option<u16>) -> String {
    let number = Tone::Quiet.paint(format!("{:>6}", line.number));
    let cut = if line.whole { "" } else { " (truncated)" };
    let packet = format!("{}{cut}", line.packet);
    let failed = |what, message| {
        let what = Tone::Bad.paint(what);
        format!("{number}  {what} {packet}: {message}")
    };
    let found = match &line.judgement {
        Judgement::Explanation(found) => found,
        Judgement::Disagreement(message) => return failed("disagreement", message),
        Judgement::Error(message) => return failed("not judged", message),
    };
    let fate = Tone::of(found.fate).paint(format!("{:<8}", word(found.fate)));
    let reason = format!("{:<19}", found.reason);
    let rule = show::rule(found).map_or_else(String::new, |rule| format!("  {rule}"));
    let columns = 6 + 2 + 8 + 1 + reason.len() + 1 + packet.len() + rule.len();
    let has_room = width.is_none_or(|width| columns <= width.into());
    let rule = if has_room { rule.as_str() } else { "" };
    format!(
        "{number}  {fate} {reason} {packet}{}",
        Tone::Quiet.paint(rule)
    )
}

/// Frames counted by verdict.
#[derive(Debug, Default)]
struct Summary {
    verdicts: BTreeMap<(&'static str, String), u64>,
    dropped: bool,
    cut_short: u64,
    errors: u64,
    disagreements: u64,
}

impl Summary {
    fn add(&mut self, line: &Line) {
        self.cut_short += u64::from(!line.whole);
        match &line.judgement {
            Judgement::Explanation(found) => {
                self.dropped |= found.fate == Fate::Dropped;
                let key = (word(found.fate), found.reason.clone());
                *self.verdicts.entry(key).or_default() += 1;
            }
            Judgement::Disagreement(_) => self.disagreements += 1,
            Judgement::Error(_) => self.errors += 1,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self {
                disagreements: 1.., ..
            } => Exit::Disagreement,
            Self { errors: 1.., .. } => Exit::Failed,
            Self { dropped: true, .. } => Exit::Dropped,
            _ => Exit::Success,
        }
    }

    fn show(&self, out: &mut impl Write) -> std::io::Result<()> {
        let judged: u64 = self.verdicts.values().sum();
        if judged + self.errors + self.disagreements == 0 {
            return writeln!(out, "The capture holds no packets.");
        }
        writeln!(out)?;
        if judged > 0 {
            let mut table = Table::new([
                Column::Short("FATE"),
                Column::Short("REASON"),
                Column::Number("FRAMES"),
            ]);
            for ((fate, reason), frames) in &self.verdicts {
                let tone = match *fate {
                    "passed" => Tone::Good,
                    "audited" => Tone::Warning,
                    _ => Tone::Bad,
                };
                table.row([
                    tone.cell(*fate),
                    Tone::Plain.cell(reason),
                    Tone::Plain.cell(grouped(*frames)),
                ]);
            }
            out.write_all(table.render(output::width()).as_bytes())?;
        }
        let mut note = |frames: u64, tone: Tone, what: &str| match frames {
            0 => Ok(()),
            _ => writeln!(
                out,
                "{} {}",
                counted(frames as usize, "frame"),
                tone.paint(what)
            ),
        };
        note(
            self.disagreements,
            Tone::Bad,
            "about which kernel and agent disagree",
        )?;
        note(self.errors, Tone::Bad, "could not be judged")?;
        let cut = "truncated in the capture, judged as if they ended there (capture with -s 0)";
        note(self.cut_short, Tone::Warning, cut)
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::{super::show::tests::explanation, *};

    fn line(judgement: Judgement) -> Line {
        Line {
            number: 7,
            whole: true,
            packet: "192.0.2.10:50000 > 192.0.2.1:22 tcp".into(),
            judgement,
        }
    }

    fn found(fate: &str, reason: &str) -> Line {
        line(Judgement::Explanation(Box::new(explanation(fate, reason))))
    }

    #[test]
    fn one_line_for_each_frame() {
        assert_eq!(
            strip_str(&shown(&found("dropped", "wrong-mac"), Some(85))).to_string(),
            "     7  dropped  wrong-mac           192.0.2.10:50000 > 192.0.2.1:22 tcp  Nf-Vi/ssh"
        );
        let narrow = strip_str(&shown(&found("dropped", "wrong-mac"), Some(80))).to_string();
        assert!(narrow.ends_with("192.0.2.1:22 tcp"), "{narrow}");
        let cut = Line {
            whole: false,
            ..line(Judgement::Error("why".into()))
        };
        assert_eq!(
            strip_str(&shown(&cut, None)).to_string(),
            "     7  not judged 192.0.2.10:50000 > 192.0.2.1:22 tcp (truncated): why"
        );
    }

    #[test]
    fn json_lines_carry_the_explanation() {
        let json = serde_json::to_value(found("dropped", "wrong-mac")).unwrap();
        assert_eq!(json["number"], 7);
        assert_eq!(json["explanation"]["reason"], "wrong-mac");
        let json = serde_json::to_value(line(Judgement::Error("why".into()))).unwrap();
        assert_eq!(json["error"], "why");
    }

    #[test]
    fn the_worst_decides_the_exit_code() {
        let mut summary = Summary::default();
        summary.add(&found("passed", "permitted"));
        summary.add(&found("audited", "wrong-role"));
        assert_eq!(summary.exit(), Exit::Success);
        summary.add(&found("dropped", "wrong-mac"));
        assert_eq!(summary.exit(), Exit::Dropped);
        summary.add(&line(Judgement::Error("x".into())));
        assert_eq!(summary.exit(), Exit::Failed);
        summary.add(&line(Judgement::Disagreement("x".into())));
        assert_eq!(summary.exit(), Exit::Disagreement);
    }

    #[test]
    fn the_summary_counts_by_verdict() {
        let mut summary = Summary::default();
        for _ in 0..3 {
            summary.add(&found("dropped", "wrong-mac"));
        }
        summary.add(&found("passed", "permitted"));
        let mut out = Vec::new();
        summary.show(&mut out).unwrap();
        assert_eq!(
            strip_str(str::from_utf8(&out).unwrap()).to_string(),
            "\nFATE     REASON     FRAMES\n\
             dropped  wrong-mac       3\n\
             passed   permitted       1\n"
        );
    }
}
