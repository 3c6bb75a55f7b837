//! Changes of single addresses of a policy, in its text and in its meaning at once: a policy of a million
//! addresses is not read again for one of them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use thiserror::Error;

use super::{
    Validated, limits,
    positions::{At, Positions},
    validate::{self, BadAddress},
};

/// A change of addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Patch {
    /// Names of endpoints, and what is added to their addresses.
    pub add: Vec<(String, String)>,
    /// Names of endpoints, and what is removed from their addresses.
    pub remove: Vec<(String, String)>,
}

/// Why a policy cannot be changed so.
#[derive(Debug, Error)]
pub enum PatchError {
    /// It changes nothing.
    #[error("the patch adds nothing and removes nothing")]
    Empty,
    /// There is no such endpoint.
    #[error("the policy in force has no endpoint `{0}`. `manoward endpoints` lists all")]
    NoSuchEndpoint(String),
    /// Not an address or a prefix.
    #[error("{message}. {remedy}")]
    Address {
        /// What is wrong.
        message: String,
        /// What to write.
        remedy: String,
    },
    /// Some endpoint has it already.
    #[error("endpoint `{endpoint}` has `{address}` already")]
    Known {
        /// Its name.
        endpoint: String,
        /// The address or prefix.
        address: IpNet,
    },
    /// The endpoint does not have it.
    #[error("endpoint `{endpoint}` does not have `{address}`, as the policy in force writes it")]
    Unknown {
        /// Its name.
        endpoint: String,
        /// The address or prefix.
        address: IpNet,
    },
    /// The endpoint would have no address left.
    #[error(
        "`{address}` is the only address of endpoint `{endpoint}`. Remove the endpoint from the file"
    )]
    Last {
        /// Its name.
        endpoint: String,
        /// The address or prefix.
        address: IpNet,
    },
    /// There would be too many.
    #[error("a policy can hold {} addresses and prefixes", limits::ADDRESSES)]
    TooMany,
    /// The text is not written as expected.
    #[error("the text of the policy in force cannot be changed in place. Apply a changed file")]
    Text,
}

/// What a patch has changed of one endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patched {
    /// Its name.
    pub endpoint: String,
    /// The address or prefix.
    pub address: IpNet,
    /// Whether it was added.
    pub added: bool,
}

/// The text and the meaning of a policy after `patch`, under `serial`, and what has changed.
///
/// # Errors
///
/// [`PatchError`].
pub fn patched(
    text: &str,
    validated: &Validated,
    patch: &Patch,
    serial: u64,
) -> Result<(String, Validated, Vec<Patched>), PatchError> {
    let changes = changes(validated, patch)?;
    let mut editor = Editor {
        text: text.to_owned(),
        validated: validated.clone(),
    };
    editor.renumber(serial)?;
    for change in &changes {
        if change.added {
            editor.add(change)?;
        } else {
            editor.remove(change)?;
        }
    }
    Ok((editor.text, editor.validated, changes))
}

/// What `patch` changes, those that are removed first.
fn changes(validated: &Validated, patch: &Patch) -> Result<Vec<Patched>, PatchError> {
    let mut changes = Vec::new();
    for (added, all) in [(false, &patch.remove), (true, &patch.add)] {
        for (endpoint, address) in all {
            if !validated.policy.endpoints.contains_key(endpoint) {
                return Err(PatchError::NoSuchEndpoint(endpoint.clone()));
            }
            let address =
                validate::peer_address(address).map_err(|bad: BadAddress| PatchError::Address {
                    message: bad.to_string(),
                    remedy: bad.remedy(),
                })?;
            changes.push(Patched {
                endpoint: endpoint.clone(),
                address,
                added,
            });
        }
    }
    if changes.is_empty() {
        return Err(PatchError::Empty);
    }
    let endpoints = validated.policy.endpoints.values();
    let before: usize = endpoints.map(|endpoint| endpoint.addresses.len()).sum();
    if before + patch.add.len() > limits::ADDRESSES + patch.remove.len() {
        return Err(PatchError::TooMany);
    }
    Ok(changes)
}

/// A policy that is being changed.
struct Editor {
    text: String,
    validated: Validated,
}

impl Editor {
    fn renumber(&mut self, serial: u64) -> Result<(), PatchError> {
        let at = self.validated.serial_at;
        let start = offset(&self.text, at).ok_or(PatchError::Text)?;
        let rest = &self.text[start..];
        let length = rest.char_indices().nth(at.length as usize);
        let length = length.map_or(rest.len(), |(length, _)| length);
        let digits = serial.to_string();
        self.replace(start, length, &digits, at);
        self.validated.serial_at.length = digits.len() as u32;
        self.validated.policy.serial = serial;
        Ok(())
    }

    fn add(&mut self, change: &Patched) -> Result<(), PatchError> {
        let address = change.address;
        let endpoints = self.validated.policy.endpoints.iter();
        let known = endpoints.filter(|(_, endpoint)| endpoint.addresses.contains(&address));
        if let Some((endpoint, _)) = known.into_iter().next() {
            return Err(PatchError::Known {
                endpoint: endpoint.clone(),
                address,
            });
        }
        let (at, start) = self.list(&change.endpoint)?;
        let item = format!("\"{}\"", shortest(address));
        match self.text[start..].chars().next() {
            Some('[') => self.replace(start + 1, 0, &format!("{item}, "), at),
            Some('-') => {
                let line = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
                let indent = self.text[line..start].to_owned();
                if !indent.trim_matches(' ').is_empty() {
                    return Err(PatchError::Text);
                }
                self.replace(start, 0, &format!("- {item}\n{indent}"), at);
            }
            _ => return Err(PatchError::Text),
        }
        self.stays(&change.endpoint, at);
        if let Some(endpoint) = self.validated.policy.endpoints.get_mut(&change.endpoint) {
            endpoint.addresses.insert(0, address);
        }
        Ok(())
    }

    fn remove(&mut self, change: &Patched) -> Result<(), PatchError> {
        let (name, address) = (&change.endpoint, change.address);
        let unknown = || PatchError::Unknown {
            endpoint: name.clone(),
            address,
        };
        let endpoint = self.validated.policy.endpoints.get(name);
        let addresses = endpoint.map_or(&[][..], |endpoint| &endpoint.addresses);
        let index = addresses.iter().position(|it| *it == address);
        let index = index.ok_or_else(unknown)?;
        if addresses.len() == 1 {
            return Err(PatchError::Last {
                endpoint: name.clone(),
                address,
            });
        }
        let (begins, start) = self.list(name)?;
        let end = self.end_of(begins);
        let whole = &self.text[start..end];
        let item = [address.to_string(), shortest(address)]
            .iter()
            .find_map(|item| find(whole, item))
            .ok_or_else(unknown)?;
        let (from, length, at) = self.cut(start, item, begins).ok_or(PatchError::Text)?;
        self.replace(from, length, "", at);
        self.stays(name, begins);
        if let Some(endpoint) = self.validated.policy.endpoints.get_mut(name) {
            endpoint.addresses.remove(index);
        }
        Ok(())
    }

    /// Where the list of addresses of an endpoint begins, and at which byte its `[` or its first `-` is.
    fn list(&self, endpoint: &str) -> Result<(At, usize), PatchError> {
        let at = self.validated.addresses_at.get(endpoint);
        let at = *at.ok_or(PatchError::Text)?;
        let start = offset(&self.text, at).ok_or(PatchError::Text)?;
        if matches!(self.text.as_bytes()[start], b'[' | b'-') {
            return Ok((at, start));
        }
        // A list that is not indented counts as beginning with its first item.
        let line = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
        let before = self.text[line..start].trim_start_matches(' ');
        if before.trim_end_matches(' ') != "-" {
            return Err(PatchError::Text);
        }
        Ok((at, start - before.len()))
    }

    /// The list of addresses of an endpoint still begins at `at`.
    fn stays(&mut self, endpoint: &str, at: At) {
        if let Some(known) = self.validated.addresses_at.get_mut(endpoint) {
            *known = at;
        }
    }

    /// Where at the latest the list ends that begins at `at`, in bytes: where the next endpoint has its own.
    fn end_of(&self, at: At) -> usize {
        let lists = self.validated.addresses_at.values();
        let next = lists.filter(|other| **other > at).min();
        let next = next.and_then(|next| offset(&self.text, *next));
        next.unwrap_or(self.text.len())
    }

    /// What is cut out of the text with an item of the list that begins at the byte `list`: from where, how
    /// much, and what position that is. `item` are the bytes of the address, from the beginning of the list.
    fn cut(&self, list: usize, item: (usize, usize), at: At) -> Option<(usize, usize, At)> {
        let (text, bytes) = (&self.text, self.text.as_bytes());
        let (mut from, mut to) = (list + item.0, list + item.1);
        if matches!(bytes[from - 1], b'"' | b'\'') && bytes.get(to) == Some(&bytes[from - 1]) {
            (from, to) = (from - 1, to + 1);
        }
        let line = text[..from].rfind('\n').map_or(0, |end| end + 1);
        let number = at.line + text[list..from].matches('\n').count() as u32;
        if bytes[list] == b'-' {
            let end = text[to..].find('\n').map_or(text.len(), |end| to + end + 1);
            let before = text[line..from].trim();
            let at = At {
                line: number,
                column: 1,
                length: 0,
            };
            // The line has nothing else.
            return (before == "-").then_some((line, end - line, at));
        }
        let behind = text[to..].trim_start_matches(' ');
        if let Some(rest) = behind.strip_prefix(',') {
            to = text.len() - rest.trim_start_matches(' ').len();
        }
        let at = At {
            line: number,
            column: text[line..from].chars().count() as u32 + 1,
            length: 0,
        };
        Some((from, to - from, at))
    }

    /// Replaces `length` bytes from `from` on, which is at `at`, and moves the positions of what comes after.
    fn replace(&mut self, from: usize, length: usize, with: &str, at: At) {
        let removed = &self.text[from..from + length];
        let lines = |text: &str| text.matches('\n').count() as u32;
        let columns = |text: &str| text.chars().count() as u32;
        let more = Shift {
            at,
            lines: lines(with).wrapping_sub(lines(removed)).cast_signed(),
            columns: columns(with).wrapping_sub(columns(removed)).cast_signed(),
        };
        self.text.replace_range(from..from + length, with);
        let validated = &mut self.validated;
        more.all(&mut validated.positions);
        more.each(validated.addresses_at.values_mut());
        more.each(std::iter::once(&mut validated.serial_at));
        more.each(
            validated
                .accepted
                .iter_mut()
                .map(|accepted| &mut accepted.at),
        );
    }
}

/// How positions behind a change move.
struct Shift {
    at: At,
    lines: i32,
    columns: i32,
}

impl Shift {
    fn all(&self, positions: &mut Positions) {
        self.each(positions.all_mut());
    }

    fn each<'a>(&self, positions: impl Iterator<Item = &'a mut At>) {
        for position in positions {
            let behind = (position.line, position.column) > (self.at.line, self.at.column);
            if self.lines != 0 && behind {
                position.line = position.line.saturating_add_signed(self.lines);
            } else if behind && position.line == self.at.line {
                position.column = position.column.saturating_add_signed(self.columns);
            }
        }
    }
}

/// The byte at which the position lies.
fn offset(text: &str, at: At) -> Option<usize> {
    let text = text
        .strip_prefix('\u{feff}')
        .map_or((text, 0), |rest| (rest, 3));
    let (text, skipped) = text;
    let mut start = 0;
    for _ in 1..at.line {
        start += text[start..].find('\n')? + 1;
    }
    let mut characters = text[start..].char_indices();
    let (column, _) = characters.nth(at.column.checked_sub(1)? as usize)?;
    Some(skipped + start + column)
}

/// Where `item` stands in a list, outside of comments, as bytes from the list's beginning.
fn find(list: &str, item: &str) -> Option<(usize, usize)> {
    let bytes = list.as_bytes();
    let mut from = 0;
    loop {
        let start = from + list[from..].find(item)?;
        let end = start + item.len();
        let apart = |byte: u8| b" \t\r\n[],\"'".contains(&byte);
        let before = start.checked_sub(1).is_some_and(|at| apart(bytes[at]));
        let after = bytes.get(end).is_none_or(|&byte| apart(byte));
        let line = list[..start].rfind('\n').map_or(0, |end| end + 1);
        let in_comment = list[line..start].contains(" #") || list[line..start].starts_with('#');
        if before && after && !in_comment {
            return Some((start, end));
        }
        from = end;
    }
}

/// A single address without its prefix length.
fn shortest(net: IpNet) -> String {
    super::protocol::shortest(&net)
}

/// Reads `NAME=ADDRESS`.
///
/// # Errors
///
/// What to write.
pub fn parse_entry(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            Ok((name.to_owned(), address.to_owned()))
        }
        _ => Err("write ENDPOINT=ADDRESS, such as vim-1=192.0.2.11".to_owned()),
    }
}

/// Where each endpoint has its list of addresses.
pub type Lists = BTreeMap<String, At>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::read;

    const HEAD: &str = "apiVersion: manoward/v1\nname: n\nserial: 7   # raise it\n\
        interfaces: [eth0]\nprotect: [interface-addresses]\n\
        reference_points: { in: { from: [vim], services: [ssh] } }\n";

    const LAYOUTS: [&str; 4] = [
        "endpoints:\n  a: { role: vim, addresses: [192.0.2.10, 192.0.2.1] }   # b: 192.0.2.10\n  \
         b: { addresses: [\"2001:db8::1\",\n    '198.51.100.0/24'], role: vim }\n",
        "endpoints: { a: { role: vim, addresses: [ 192.0.2.10 , 192.0.2.1 ] }, \
         b: { role: vim, addresses: [2001:db8::1, 198.51.100.0/24] } }\n",
        "endpoints:\n  a:\n    role: vim\n    addresses:\n      # 192.0.2.10 is the first\n      \
         - 192.0.2.10   # one\n      - 192.0.2.1/32\n  b:\n    addresses:\n    - '2001:db8::1'\n    \
         - 198.51.100.0/24\n    role: vim\n",
        "endpoints:\r\n  a:\r\n    role: vim\r\n    addresses:\r\n      - 192.0.2.10\r\n      \
         - 192.0.2.1\r\n  b: { role: vim, addresses: [2001:db8::1, 198.51.100.0/24] }\r\n",
    ];

    fn patch(add: &[(&str, &str)], remove: &[(&str, &str)]) -> Patch {
        let owned = |entries: &[(&str, &str)]| {
            let entries = entries.iter();
            entries
                .map(|&(a, b)| (a.to_owned(), b.to_owned()))
                .collect()
        };
        Patch {
            add: owned(add),
            remove: owned(remove),
        }
    }

    /// What is read from the text after the patch is what the patch says.
    fn check(text: &str, patch: &Patch) -> String {
        let before = read(text, "p.yaml").expect("valid");
        let (text, after, _) = patched(text, &before, patch, 123_456)
            .unwrap_or_else(|error| panic!("{error}: {patch:?} {:?}\n{text}", before.addresses_at));
        let read = read(&text, "p.yaml").unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read.policy, after.policy, "{text}");
        let places = |validated: &mut Validated| -> Vec<(u32, u32)> {
            let serial = std::iter::once(&mut validated.serial_at);
            let lists = serial.chain(validated.addresses_at.values_mut());
            let all = lists.chain(validated.positions.all_mut());
            all.map(|at| (at.line, at.column)).collect()
        };
        let (mut read, mut after) = (read, after);
        assert_eq!(places(&mut read), places(&mut after), "{text}");
        text
    }

    #[test]
    fn text_and_meaning_change_together_in_every_layout() {
        for layout in LAYOUTS {
            for text in [
                format!("{HEAD}{layout}"),
                format!("# \u{e9}\n{HEAD}{layout}# end"),
            ] {
                let text = check(&text, &patch(&[("a", "192.0.2.11")], &[]));
                let text = check(
                    &text,
                    &patch(&[("b", "2001:db8::2")], &[("a", "192.0.2.10")]),
                );
                let text = check(&text, &patch(&[], &[("b", "198.51.100.0/24")]));
                let more = [("a", "10.0.0.0/8"), ("b", "192.0.2.10")];
                let text = check(&text, &patch(&more, &[("a", "192.0.2.1")]));
                check(&text, &patch(&[("a", "192.0.2.1")], &[("a", "192.0.2.11")]));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let text = format!("{HEAD}{}", LAYOUTS[0]);
        let before = read(&text, "p.yaml").expect("valid");
        for (patch, said) in [
            (patch(&[], &[]), "adds nothing"),
            (patch(&[("c", "192.0.2.11")], &[]), "no endpoint `c`"),
            (
                patch(&[("b", "192.0.2.10")], &[]),
                "`a` has `192.0.2.10/32` already",
            ),
            (patch(&[("a", "192.0.2.300")], &[]), "not an IP address"),
            (patch(&[("a", "192.0.2.1/24")], &[]), "bits set beyond"),
            (patch(&[], &[("b", "192.0.2.10")]), "does not have"),
            (
                patch(&[], &[("a", "192.0.2.10"), ("a", "192.0.2.1")]),
                "the only address",
            ),
        ] {
            let error = patched(&text, &before, &patch, 8)
                .expect_err(said)
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
