//! One explanation.

use std::io::{self, Write};

use manoward_api::{Explanation, Fate, Kernel, Way};

use crate::cli::{prose, tone::Tone};

/// Writes the verdict, the reason and the rule.
pub fn one(
    out: &mut impl Write,
    found: &Explanation,
    direction: Way,
    width: Option<u16>,
) -> io::Result<()> {
    let verdict = match found.fate {
        Fate::Passed => "passes",
        Fate::Dropped => "dropped",
        Fate::Audited => "passes, audited",
    };
    writeln!(
        out,
        "{} {}",
        Tone::of(found.fate).paint(verdict),
        Tone::Quiet.paint(format_args!("({})", found.reason))
    )?;
    let because = prose::indented(&prose::sentence(&found.because), "  ", width);
    writeln!(out, "{because}\n")?;
    if let Some(rule) = rule(found) {
        fact(out, "rule", &rule)?;
    }
    if let Some(endpoint) = endpoint(found) {
        fact(out, "endpoint", &endpoint)?;
    }
    if let Some(interface) = &found.interface {
        let name = match direction {
            Way::In => "arrives on",
            Way::Out => "leaves by",
        };
        fact(out, name, interface)?;
    }
    let kernel = match found.kernel {
        Kernel::Agrees => "agrees",
        Kernel::AgreesOnLoopback => {
            "agrees; tested on the loopback interface, the only one that this kernel can test on"
        }
        Kernel::NotAsked => "was not asked: it cannot run the program on a frame of this length",
    };
    fact(out, "kernel", kernel)
}

/// The rule that made the verdict: a service at a reference point.
pub fn rule(found: &Explanation) -> Option<String> {
    match (&found.reference_point, &found.service) {
        (Some(point), Some(service)) => Some(format!("{point}/{service}")),
        (Some(name), None) | (None, Some(name)) => Some(name.clone()),
        (None, None) => None,
    }
}

fn endpoint(found: &Explanation) -> Option<String> {
    let mut text = found.endpoint.clone()?;
    if let Some(role) = &found.role {
        text = format!("{text}, role {role}");
    }
    if let Some(prefix) = &found.prefix {
        text = format!("{text}, by {prefix}");
    }
    Some(text)
}

fn fact(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    let name = format!("  {name:<10} ");
    writeln!(out, "{}{value}", Tone::Quiet.paint(name))
}

#[cfg(test)]
pub mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    pub fn explanation(fate: &str, reason: &str) -> Explanation {
        serde_json::from_value(serde_json::json!({
            "fate": fate, "reason": reason, "reference_point": "Nf-Vi", "service": "ssh",
            "endpoint": "vim-1", "role": "vim", "prefix": "192.0.2.10/32",
            "because": "endpoint `vim-1` has the role `vim`", "frame": "00",
            "interface": "eth0", "kernel": "agrees",
        }))
        .unwrap()
    }

    fn shown(found: &Explanation, direction: Way) -> String {
        let mut out = Vec::new();
        one(&mut out, found, direction, None).unwrap();
        strip_str(str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn verdict_sentence_and_rule() {
        assert_eq!(
            shown(&explanation("passed", "permitted"), Way::In),
            "passes (permitted)\n  Endpoint `vim-1` has the role `vim`.\n\n  \
             rule       Nf-Vi/ssh\n  \
             endpoint   vim-1, role vim, by 192.0.2.10/32\n  \
             arrives on eth0\n  \
             kernel     agrees\n"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut found = explanation("dropped", "no-service");
        found.reference_point = None;
        found.service = None;
        found.endpoint = None;
        found.kernel = Kernel::NotAsked;
        let text = shown(&found, Way::Out);
        assert!(text.starts_with("dropped (no-service)\n"), "{text}");
        assert!(
            !text.contains("rule") && !text.contains("endpoint   "),
            "{text}"
        );
        assert!(text.contains("leaves by  eth0"), "{text}");
        assert!(text.contains("kernel     was not asked"), "{text}");
    }
}
