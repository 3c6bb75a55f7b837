//! Gives a policy another serial, and leaves all else of its text as it is.

use super::{At, PolicyError, read};

/// The text of a policy with `serial` in place of its own.
///
/// # Errors
///
/// Its mistakes.
pub fn renumbered(text: &str, file: &str, serial: u64) -> Result<String, Box<PolicyError>> {
    let before = read(text, file)?;
    let renumbered = replaced(text, before.serial_at, &serial.to_string());
    Ok(renumbered.unwrap_or_else(|| text.to_owned()))
}

/// `text` with `word` at this position.
fn replaced(text: &str, at: At, word: &str) -> Option<String> {
    let line = text
        .split_inclusive('\n')
        .take(at.line.checked_sub(1)? as usize)
        .map(str::len)
        .sum::<usize>();
    let characters = |from: usize, count: u32| {
        let rest = text.get(from..)?;
        let mut ends = rest.char_indices().map(|(index, _)| index);
        Some(from + ends.nth(count as usize).unwrap_or(rest.len()))
    };
    let start = characters(line, at.column.checked_sub(1)?)?;
    let end = characters(start, at.length)?;
    Some(format!("{}{word}{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "interfaces: [eth0]\nprotect: [interface-addresses]\n\
        endpoints: { a: { role: vim, addresses: [192.0.2.10] } }\n\
        reference_points: { in: { from: [vim], services: [ssh] } }\n";

    #[test]
    fn only_the_serial_changes() {
        for (before, after) in [
            ("serial: 7", "serial: 12345"),
            ("serial:   7   # raise it", "serial:   12345   # raise it"),
            ("\"serial\": \n    7", "\"serial\": \n    12345"),
        ] {
            for head in [
                "apiVersion: manoward/v1\nname: n\n",
                "# \u{e9}\napiVersion: manoward/v1\r\nname: n\r\n",
            ] {
                let text = |serial| format!("{head}{serial}\n{REST}");
                let renumbered = renumbered(&text(before), "p.yaml", 12345).expect("valid");
                assert_eq!(renumbered, text(after));
                assert_eq!(
                    read(&renumbered, "p.yaml").expect("valid").policy.serial,
                    12345
                );
            }
        }
    }

    #[test]
    fn a_policy_in_one_line_is_renumbered() {
        let text = "{ apiVersion: manoward/v1, name: n, serial: 7, interfaces: [eth0], protect: \
                    [interface-addresses], endpoints: {}, reference_points: {} }";
        let renumbered = renumbered(text, "p.yaml", 8).expect("valid");
        assert_eq!(renumbered, text.replace("serial: 7", "serial: 8"));
    }
}
