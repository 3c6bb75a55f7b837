//! `manoward status`

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use manoward::config::DEFAULT_PATH;
use manoward_api::{self as api, Attachment, Door, Failure, Health, Hook, HookMode, Mode};

use super::{
    Context, Exit,
    lease::refusals,
    output::{self, Format},
    pinned, prose,
    quantity::{bytes, counted, grouped},
    table::{Column, Table},
    tone::Tone,
};

/// Show whether this host is protected, by which policy, and where.
///
/// The first line is the summary: `healthy`, `degraded` (not everywhere, or weaker or slower than it
/// should be) or `not enforcing`. The problems follow, each with its remedy, then what is enforced, and
/// how each interface is covered. If no agent answers, it says what the kernel still enforces.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward status
  manoward status --output json | jq -r '.problems[].code'
  manoward status | head -1")]
pub struct Status {
    /// The agent's configuration, which says where to look if it does not answer
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

pub async fn run(args: Status, context: &Context) -> anyhow::Result<Exit> {
    let status = match context.client.status().await {
        Ok(status) => status,
        Err(error) if error.is_absent() => {
            return unattended(&args.config, context)?.map_or_else(|| Err(error.into()), Ok);
        }
        Err(error) => return Err(error.into()),
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &status)?,
        Format::Table => show(&mut out, &status)?,
    }
    Ok(match status.health() {
        Health::Healthy => Exit::Success,
        Health::Degraded => Exit::Degraded,
        Health::NotEnforcing => Exit::NotEnforcing,
    })
}

/// Says what the kernel enforces without an agent; `None` if that is nothing.
fn unattended(config: &Path, context: &Context) -> io::Result<Option<Exit>> {
    let configured = pinned::configured(config);
    let own = pinned::enforcing(&configured);
    let places: Vec<_> = own
        .into_iter()
        .chain(pinned::elsewhere(&configured))
        .collect();
    let [first, ..] = &places[..] else {
        return Ok(None);
    };
    let message = format!(
        "the agent does not answer, and the kernel still enforces on {} (pinned under {}). Nothing \
         follows the host's changes or puts back what is detached: start the agent with `systemctl \
         start manoward`, or end enforcement with `manoward detach --pins {}`",
        first.interfaces.join(", "),
        pinned::named(&places),
        first.pins.display(),
    );
    let exit = Exit::Unattended;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(
            &mut out,
            &Failure {
                message,
                code: exit.name().to_owned(),
                report: None,
            },
        )?,
        Format::Table => {
            let headline = "unattended: the kernel enforces, and no agent answers";
            writeln!(out, "{}", Tone::Warning.paint(headline))?;
            let text = prose::indented(&prose::sentence(&message), "  ", output::text_width());
            writeln!(out, "{text}")?;
        }
    }
    Ok(Some(exit))
}

fn show(out: &mut impl Write, status: &api::Status) -> io::Result<()> {
    let (tone, headline) = headline(status);
    writeln!(out, "{}", tone.paint(headline))?;
    let severity = if tone == Tone::Bad {
        Tone::Bad
    } else {
        Tone::Warning
    };
    for problem in &status.problems {
        let text = prose::indented(
            &prose::sentence(&problem.message),
            "  ",
            output::text_width(),
        );
        writeln!(out, "{}", severity.paint(text))?;
    }
    writeln!(out)?;
    if let Some(policy) = &status.policy {
        fact(out, "policy", &in_force(policy))?;
        fact(out, "applied", &in_seconds(&policy.applied))?;
    }
    if let Some(trial) = &status.trial {
        fact(out, "on trial", &on_trial(trial))?;
    }
    if let Some(trying) = &status.trying {
        fact(out, "tried", &tried(trying))?;
    }
    if let Some(policy) = &status.policy {
        fact(out, "endpoints", &extent(policy))?;
    }
    let protected: Vec<String> = status.protected.iter().map(ToString::to_string).collect();
    fact(out, "protects", &listed(&protected, "no address"))?;
    fact(out, "hook", hook(status.hook))?;
    fact(out, "inner door", door(status.door))?;
    if let Some(enrolment) = &status.enrolment {
        fact(out, "enrolment", &proofs(enrolment))?;
    }
    let agent = format!(
        "version {}, process {}, since {}",
        status.version,
        status.pid,
        in_seconds(&status.started)
    );
    fact(out, "agent", &agent)?;
    writeln!(out)?;
    attachments(out, &status.attachments)?;
    coverage(out, status)
}

/// The summary in the first line.
fn headline(status: &api::Status) -> (Tone, String) {
    let interfaces = counted(pairs(&status.attachments).len(), "interface");
    let Some(policy) = &status.policy else {
        return (Tone::Bad, "not enforcing: there is no policy".to_owned());
    };
    if status.attachments.is_empty() {
        return (
            Tone::Bad,
            "not enforcing: attached to no interface".to_owned(),
        );
    }
    let what = match policy.mode {
        Mode::Enforce => "enforcing",
        Mode::Audit => "auditing",
    };
    let what = format!(
        "{what} {} serial {} on {interfaces}",
        policy.name, policy.serial
    );
    if status.health() == Health::Healthy {
        return (Tone::Good, format!("healthy: {what}"));
    }
    let exposed = status.coverage.iter().filter(|row| row.exposed.is_some());
    let exposed = match exposed.count() {
        0 => String::new(),
        exposed => format!(", {} EXPOSED", counted(exposed, "interface")),
    };
    let problems = match status.problems.len() {
        0 => String::new(),
        problems => format!(", {}", counted(problems, "problem")),
    };
    let headline = format!("degraded: {what}{exposed}{problems}");
    (Tone::Warning, headline)
}

/// A time (RFC 3339) without the fraction of its second.
fn in_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, fraction)) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{seconds}{zone}")
        }
        None => time.to_owned(),
    }
}

fn in_force(policy: &api::PolicyInForce) -> String {
    let meaning = match policy.outbound {
        api::Outbound::Enforce => "",
        api::Outbound::Audit => " (connections that no rule permits are counted, and pass)",
        api::Outbound::Any => " (the host may connect to anyone)",
    };
    format!(
        "{}, serial {}, mode {}, outbound {}{meaning}",
        policy.name, policy.serial, policy.mode, policy.outbound
    )
}

fn on_trial(trial: &api::TrialStatus) -> String {
    let then = trial.goes_back_to.map_or_else(
        || "nothing is enforced".to_owned(),
        |serial| format!("serial {serial} returns"),
    );
    format!(
        "{then} in {:.0} s, unless `manoward policy confirm` comes before",
        trial.left_seconds.ceil()
    )
}

fn tried(trying: &api::Trying) -> String {
    let [dropped, admitted] = [trying.newly_dropped, trying.newly_admitted].map(grouped);
    format!(
        "serial {} would newly drop {dropped} packets and admit {admitted}: see `manoward \
         policy try --report`",
        trying.serial
    )
}

fn extent(policy: &api::PolicyInForce) -> String {
    format!(
        "{} with {} addresses and prefixes, {} in the kernel",
        grouped(policy.endpoints as u64),
        grouped(policy.addresses as u64),
        bytes(policy.image_bytes),
    )
}

fn proofs(enrolment: &api::EnrolmentStatus) -> String {
    let refused = match enrolment.refused.as_slice() {
        [] => String::new(),
        refused => format!("; refused: {}", refusals(refused)),
    };
    format!(
        "UDP port {}, {}{refused}",
        enrolment.port,
        counted(enrolment.leases, "lease")
    )
}

const fn door(door: Door) -> &'static str {
    match door {
        Door::Enforce => "enforce: what reaches a socket another way is judged there",
        Door::Audit => "audit: drops at sockets are counted, and pass (manoward stats --by place)",
        Door::Off => "off",
        Door::Missing => "missing",
    }
}

const fn hook(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "xdp",
        Hook::Tcx => "tcx",
    }
}

fn listed(items: &[String], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    items.join(", ")
}

/// Writes a name and its value; a long value is wrapped in its own column.
fn fact(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    const NAMES: usize = 12;
    let indent = " ".repeat(NAMES);
    let value = prose::indented(value, &indent, output::text_width());
    writeln!(
        out,
        "{}{}",
        Tone::Quiet.paint(format_args!("{name:<NAMES$}")),
        value.trim_start()
    )
}

fn attachments(out: &mut impl Write, attachments: &[Attachment]) -> io::Result<()> {
    if attachments.is_empty() {
        return writeln!(out, "No interface is enforced.");
    }
    let mut table = Table::new([
        Column::Short("INTERFACE"),
        Column::Number("INDEX"),
        Column::Short("MODE"),
        Column::Short("POLICY NAMES"),
    ]);
    for (interface, pair) in pairs(attachments) {
        let is_slow = pair.iter().any(|at| at.mode == HookMode::XdpGeneric);
        let tone = if is_slow { Tone::Warning } else { Tone::Good };
        let modes: Vec<String> = pair.iter().map(|at| mode(at.mode)).collect();
        let via = pair.iter().find_map(|at| at.via.as_deref());
        table.row([
            Tone::Strong.cell(&interface.interface),
            Tone::Plain.cell(interface.ifindex.to_string()),
            tone.cell(modes.join(", ")),
            Tone::Quiet.cell(via.unwrap_or(&interface.interface)),
        ]);
    }
    out.write_all(table.render(output::width()).as_bytes())
}

/// How the interfaces are covered, over which packets reach the host.
fn coverage(out: &mut impl Write, status: &api::Status) -> io::Result<()> {
    if status.coverage.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new([
        Column::Short("ENTRANCE"),
        Column::Short("IN"),
        Column::Short("OUT"),
        Column::Long("COVERAGE"),
        Column::Long("ADDRESSES"),
    ]);
    let hook = |mode: Option<HookMode>| mode.map_or("-", HookMode::name);
    for row in &status.coverage {
        let (tone, covered) = match &row.exposed {
            Some(why) => (Tone::Bad, format!("EXPOSED: {why}")),
            None if row.inside => (Tone::Quiet, "left alone: leads to guests".to_owned()),
            None if row.at_door => (Tone::Good, "sockets, by the inner door".to_owned()),
            None => (Tone::Good, "covered".to_owned()),
        };
        let addresses: Vec<String> = row.addresses.iter().map(ToString::to_string).collect();
        table.row([
            Tone::Strong.cell(&row.interface),
            Tone::Plain.cell(hook(row.ingress)),
            Tone::Plain.cell(hook(row.egress)),
            tone.cell(covered),
            Tone::Quiet.cell(listed(&addresses, "-")),
        ]);
    }
    out.write_all(table.render(output::width()).as_bytes())?;
    let seeming = status.coverage.iter().filter(|row| row.seems_inside);
    let seeming: Vec<&str> = seeming.map(|row| row.interface.as_str()).collect();
    if !seeming.is_empty() {
        let names = seeming.join(", ");
        remark(
            out,
            &format!(
                "{names}: veths, taps and bridges of these usually lead to guests and containers. To leave \
             their traffic alone, put `inside: [{names}]` into agent.yaml and restart the agent."
            ),
        )?;
    }
    if !status.elsewhere.is_empty() {
        let elsewhere: Vec<String> = status.elsewhere.iter().map(ToString::to_string).collect();
        let elsewhere = elsewhere.join(", ");
        remark(
            out,
            &format!("No interface has {elsewhere}: a guest's, or missing."),
        )?;
    }
    Ok(())
}

fn remark(out: &mut impl Write, text: &str) -> io::Result<()> {
    let text = prose::indented(text, "", output::text_width());
    writeln!(out, "{}", Tone::Quiet.paint(text))
}

/// The attachments, grouped by interface; the first of a group stands for the interface.
fn pairs(attachments: &[Attachment]) -> Vec<(&Attachment, Vec<&Attachment>)> {
    let mut pairs: Vec<(&Attachment, Vec<&Attachment>)> = Vec::new();
    for at in attachments {
        match pairs.iter_mut().find(|(of, _)| of.ifindex == at.ifindex) {
            Some((_, pair)) => pair.push(at),
            None => pairs.push((at, vec![at])),
        }
    }
    pairs
}

/// A mode and its direction: `xdp-native in`.
fn mode(mode: HookMode) -> String {
    let direction = if mode.is_egress() { "out" } else { "in" };
    format!("{} {direction}", mode.name())
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn status(policy: bool, problems: &[&str]) -> api::Status {
        serde_json::from_value(serde_json::json!({
            "version": "0.1.0", "pid": 7, "started": "2026-01-02T03:04:05Z", "hook": "xdp",
            "policy": policy.then(|| serde_json::json!({
                "name": "compute-17", "serial": 42, "mode": "enforce",
                "outbound": "enforce", "applied": "2026-01-02T03:04:05Z",
                "endpoints": 8, "addresses": 12, "image_bytes": 65536,
            })),
            "attachments": [{
                "interface": "eth0", "ifindex": 2, "mode": "xdp-native",
                "via": null, "degraded": null,
            }, {
                "interface": "eth0", "ifindex": 2, "mode": "tcx-egress",
                "via": null, "degraded": null,
            }],
            "protected": ["192.0.2.1", "2001:db8::1"],
            "coverage": [{
                "interface": "eth0", "ifindex": 2, "addresses": ["192.0.2.1", "2001:db8::1"],
                "ingress": "xdp-native", "egress": "tcx-egress", "inside": false, "seems_inside": false, "at_door": false,
                "exposed": null,
            }],
            "elsewhere": [], "door": "enforce", "verified": "2026-01-02T03:04:06Z", "is_verified": true,
            "problems": problems.iter().map(|message| serde_json::json!({
                "code": "generic-mode", "message": message,
            })).collect::<Vec<_>>(),
            "enrolment": {
                "port": 7443, "leases": 3, "refused": [{ "reason": "unknown-ca", "count": 1200 }],
            },
        }))
        .unwrap()
    }

    fn shown(status: &api::Status) -> String {
        let mut out = Vec::new();
        show(&mut out, status).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn the_first_line_is_the_summary() {
        let first = |status: &api::Status| shown(status).lines().next().unwrap().to_owned();
        assert_eq!(
            first(&status(true, &[])),
            "healthy: enforcing compute-17 serial 42 on 1 interface"
        );
        assert_eq!(
            first(&status(true, &["eth0 is slow"])),
            "degraded: enforcing compute-17 serial 42 on 1 interface, 1 problem"
        );
        assert_eq!(
            first(&status(false, &["x"])),
            "not enforcing: there is no policy"
        );
        let mut nowhere = status(true, &[]);
        nowhere.attachments.clear();
        assert_eq!(first(&nowhere), "not enforcing: attached to no interface");
    }

    #[test]
    fn what_is_exposed_or_unverified_is_not_healthy() {
        let first = |status: &api::Status| shown(status).lines().next().unwrap().to_owned();
        let mut exposed = status(true, &[]);
        let row = api::Coverage {
            interface: "eth1".into(),
            exposed: Some("no program is attached to `eth1`".into()),
            ingress: None,
            ..exposed.coverage[0].clone()
        };
        exposed.coverage.push(row);
        assert_eq!(
            first(&exposed),
            "degraded: enforcing compute-17 serial 42 on 1 interface, 1 interface EXPOSED"
        );
        let text = shown(&exposed);
        assert!(text.contains("EXPOSED: no program"), "{text}");
        let mut old = status(true, &[]);
        old.is_verified = false;
        assert_eq!(old.health(), Health::Degraded);
    }

    #[test]
    fn times_are_told_in_seconds() {
        assert_eq!(
            in_seconds("2026-01-02T03:04:05.678Z"),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(
            in_seconds("2026-01-02T03:04:05.6+01:00"),
            "2026-01-02T03:04:05+01:00"
        );
        assert_eq!(in_seconds("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn facts_and_attachments_follow() {
        let text = shown(&status(true, &["eth0 is slow"]));
        assert!(text.contains("\n  Eth0 is slow.\n"), "{text}");
        assert!(text.contains("mode enforce, outbound enforce\n"), "{text}");
        assert!(
            text.contains("protects    192.0.2.1, 2001:db8::1\n"),
            "{text}"
        );
        assert!(
            text.contains("eth0           2  xdp-native in, tcx-egress out  eth0\n"),
            "{text}"
        );
    }
}
