//! Parses the agent's log.

use std::collections::BTreeMap;

/// The fields of every line: `key=value`, or `key="value"` where the value may have spaces.
#[must_use]
pub fn records(log: &str) -> Vec<BTreeMap<String, String>> {
    log.lines().map(fields).collect()
}

fn fields(line: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit(' ').next().unwrap_or_default();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        fields.insert(key.to_owned(), value.to_owned());
        rest = left;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_fields() {
        let line = "2026-01-02T03:04:05Z  WARN refused: no, x event=\"a b\" port=7443 last=\"\"";
        let wanted = [("event", "a b"), ("port", "7443"), ("last", "")];
        let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(records(line), [BTreeMap::from(wanted)]);
    }
}
