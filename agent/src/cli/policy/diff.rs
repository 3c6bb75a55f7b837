//! `manoward policy diff`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::bail;
use clap::Args;
use manoward::{enforcer, policy};
use manoward_api::{Access, Candidate, Difference, PolicyQuery, Way};

use super::{
    answer, changes,
    file::{self, Given},
};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    prose,
    quantity::grouped,
    session,
    tone::Tone,
};

/// Show what applying a policy would change, or how two policies differ.
///
/// Policies are compared by their meaning: comments, order and spelling do not matter. First comes who
/// may newly connect and who may no longer, by addresses and ports; then what was changed for it. With
/// one policy, that is compared with the one in force; with two, the second with the first. A number
/// stands for a policy that was in force (`policy history`). Nothing is changed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy diff policy.yaml
  manoward policy diff 41 42
  manoward policy diff 42 policy.yaml
  manoward policy diff policy.yaml --output json | jq '.lost[] | select(.service == \"ssh\")'")]
pub struct Diff {
    /// The policy, or the older of two: a file, `-` for standard input, or a serial
    #[arg(value_name = "POLICY")]
    first: String,

    /// The newer of two
    #[arg(value_name = "NEWER")]
    second: Option<String>,
}

pub async fn run(args: Diff, context: &Context) -> anyhow::Result<Exit> {
    let mut first = candidate(&args.first, context).await?;
    first.candidate.session = session::current();
    let difference = match &args.second {
        None => {
            let asking = context.client.diff(&first.candidate);
            let answer = answer::of(asking, "comparing the policies", &first, context).await?;
            let Some(difference) = answer else {
                return Ok(Exit::InvalidPolicy);
            };
            difference
        }
        Some(second) => {
            let second = candidate(second, context).await?;
            let older = parsed(&first)?;
            let newer = parsed(&second)?;
            enforcer::Difference::between(Some(&older), &newer).into()
        }
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &difference)?,
        Format::Table => {
            let which = if args.second.is_some() {
                ["", ""]
            } else {
                [" in force", " in the file"]
            };
            show(&mut out, &difference, which, output::text_width())?;
            answer::foresee(&difference.apply_refuses)?;
        }
    }
    Ok(Exit::Success)
}

/// The policy that was given.
fn parsed(given: &Given) -> anyhow::Result<policy::Policy> {
    let Candidate { text, file, .. } = &given.candidate;
    if let Some(report) = &given.broken {
        bail!(
            "{file}: {} mistakes, see `manoward policy check`",
            report.mistake_count
        );
    }
    Ok(policy::read(text, file)?.policy)
}

/// The policy in a file, or that of a serial.
async fn candidate(name: &str, context: &Context) -> anyhow::Result<Given> {
    let Ok(serial) = name.parse() else {
        return file::read(&PathBuf::from(name));
    };
    let query = PolicyQuery {
        serial: Some(serial),
    };
    let kept = context.client.policy(&query).await?;
    Ok(Candidate {
        text: kept.text,
        file: kept.file,
        ..Candidate::default()
    }
    .into())
}

fn show(
    out: &mut impl Write,
    difference: &Difference,
    which: [&str; 2],
    width: Option<u16>,
) -> io::Result<()> {
    let Difference {
        from,
        to,
        changes,
        gained,
        lost,
        ..
    } = difference;
    let [older, newer] = which;
    if changes.is_empty() {
        return writeln!(
            out,
            "Nothing would change: serial {from}{older} means the same."
        );
    }
    let heading = format!("Serial {from}{older}, serial {to}{newer}:");
    writeln!(out, "{}", Tone::Quiet.paint(heading))?;
    for (title, list, sign, tone) in [
        ("May newly connect:", gained, '+', Tone::Good),
        ("May no longer connect:", lost, '-', Tone::Bad),
    ] {
        if list.is_empty() {
            continue;
        }
        writeln!(out, "{}", Tone::Strong.paint(title))?;
        for access in list {
            let text = prose::indented(&described(access), "    ", width);
            writeln!(out, "  {} {}", tone.paint(sign), text.trim_start())?;
        }
    }
    writeln!(out, "{}", Tone::Strong.paint("Changes:"))?;
    changes::show(out, changes, width)
}

fn described(access: &Access) -> String {
    let Access {
        endpoint,
        service,
        ports,
        ..
    } = access;
    let more = match access.count.saturating_sub(access.addresses.len()) {
        0 => String::new(),
        more => format!(" and {} more", grouped(more as u64)),
    };
    let addresses = format!("{}{more}", access.addresses.join(", "));
    match access.direction {
        Way::In => format!("{endpoint} ({addresses}) to {service} ({ports})"),
        Way::Out => format!("the host to {service} ({ports}) of {endpoint} ({addresses})"),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use manoward_api::{Change, ChangeKind, Object};

    use super::*;

    #[test]
    fn who_may_connect_comes_first() {
        let access = |direction, count| Access {
            direction,
            endpoint: "vim-1".into(),
            service: "ssh".into(),
            ports: "tcp 22".into(),
            addresses: vec!["192.0.2.10".into()],
            count,
        };
        let difference = Difference {
            from: 1,
            to: 2,
            changes: vec![Change {
                kind: ChangeKind::Removed,
                object: Object::Endpoint,
                name: "a".into(),
                detail: String::new(),
            }],
            gained: vec![access(Way::In, 1)],
            lost: vec![access(Way::Out, 1_001)],
            apply_refuses: Vec::new(),
        };
        let mut out = Vec::new();
        show(&mut out, &difference, ["", ""], None).unwrap();
        assert_eq!(
            strip_str(str::from_utf8(&out).unwrap()).to_string(),
            "Serial 1, serial 2:\nMay newly connect:\n  + vim-1 (192.0.2.10) to ssh (tcp 22)\n\
             May no longer connect:\n  - the host to ssh (tcp 22) of vim-1 (192.0.2.10 and 1,000 \
             more)\nChanges:\n- endpoint `a`\n"
        );
    }
}
