//! Display of what a policy changes.

use std::io::{self, Write};

use manoward_api::{Change, ChangeKind};

use crate::cli::{prose, tone::Tone};

/// Shows each change with a sign, as diff does.
pub fn show(out: &mut impl Write, changes: &[Change], width: Option<u16>) -> io::Result<()> {
    for change in changes {
        let (sign, tone) = match change.kind {
            ChangeKind::Added => ('+', Tone::Good),
            ChangeKind::Removed => ('-', Tone::Bad),
            ChangeKind::Changed => ('~', Tone::Warning),
        };
        let what = format!("{} `{}`", change.object, change.name);
        writeln!(out, "{} {}", tone.paint(sign), Tone::Strong.paint(what))?;
        // One line for each detail: a policy may change much of one object.
        for detail in change
            .detail
            .split("; ")
            .filter(|detail| !detail.is_empty())
        {
            writeln!(out, "{}", prose::indented(detail, "    ", width))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use manoward_api::Object;

    use super::*;

    #[test]
    fn signs_say_how_and_details_follow() {
        let change = |kind, name: &str, detail: &str| Change {
            kind,
            object: Object::Endpoint,
            name: name.into(),
            detail: detail.into(),
        };
        let changes = [
            change(ChangeKind::Added, "a", "role vim"),
            change(ChangeKind::Removed, "b", ""),
            change(ChangeKind::Changed, "c", "role from x to y; now bound"),
        ];
        let mut out = Vec::new();
        show(&mut out, &changes, None).unwrap();
        assert_eq!(
            strip_str(str::from_utf8(&out).unwrap()).to_string(),
            "+ endpoint `a`\n    role vim\n- endpoint `b`\n~ endpoint `c`\n    \
             role from x to y\n    now bound\n"
        );
    }
}
