//! Certificates and revocation lists as people read them.

use std::{
    io::{self, Write},
    time::Duration,
};

use anstream::adapter::strip_str;
use comfy_table::Cell;
use jiff::Timestamp;
use manoward_pki::{Crl, Entry, Revocation};

use super::listing::{Listed, Listing};
use crate::cli::{
    prose,
    quantity::{counted, span},
    table::{Column, Table},
    tone::Tone,
};

/// Shows a line for each certificate, or three where the terminal is narrow, and one for each list.
pub fn show(out: &mut impl Write, listing: &Listing, width: Option<u16>) -> io::Result<()> {
    let now = Timestamp::now();
    let wide = wide(&listing.certificates, now);
    if width.is_none_or(|width| columns(&wide) <= usize::from(width)) {
        out.write_all(wide.as_bytes())?;
    } else {
        narrow(out, &listing.certificates, now, width)?;
    }
    for list in &listing.crls {
        let (tone, text) = revocation_list(list, now);
        writeln!(out, "{}", tone.paint(prose::indented(&text, "", width)))?;
    }
    let mut certificates = listing.certificates.iter();
    if certificates.any(|one| one.entry.revocation == Revocation::Unknown) {
        let hint = "Whether some of them are revoked is not known: give the revocation lists of \
                    their issuers with --crl.";
        writeln!(
            out,
            "{}",
            Tone::Quiet.paint(prose::indented(hint, "", width))
        )?;
    }
    Ok(())
}

/// Columns that a text needs on a terminal.
fn columns(text: &str) -> usize {
    let lines = strip_str(text).to_string();
    let longest = lines.lines().map(|line| line.chars().count()).max();
    longest.unwrap_or(0)
}

/// One line for each certificate.
fn wide(certificates: &[Listed], now: Timestamp) -> String {
    let mut table = Table::new(
        [
            "SUBJECT", "NAMES", "FOR", "KEY", "FROM", "UNTIL", "STATE", "SERIAL",
        ]
        .map(Column::Short),
    );
    for certificate in certificates {
        let entry = &certificate.entry;
        table.row([
            Tone::Strong.cell(common_name(&entry.subject)),
            Tone::Plain.cell(or_dash(&names(entry))),
            Tone::Plain.cell(purpose(entry)),
            Tone::Plain.cell(&entry.key),
            Tone::Quiet.cell(date(entry.not_before)),
            Tone::Plain.cell(date(entry.not_after)),
            state(certificate, now),
            Tone::Quiet.cell(entry.serial.to_string()),
        ]);
    }
    table.render(None)
}

/// Names, validity and serial stand below the line of their certificate.
fn narrow(
    out: &mut impl Write,
    certificates: &[Listed],
    now: Timestamp,
    width: Option<u16>,
) -> io::Result<()> {
    let mut table = Table::new(["SUBJECT", "FOR", "KEY", "STATE"].map(Column::Short));
    for certificate in certificates {
        let entry = &certificate.entry;
        table.row([
            Tone::Strong.cell(common_name(&entry.subject)),
            Tone::Plain.cell(purpose(entry)),
            Tone::Plain.cell(&entry.key),
            state(certificate, now),
        ]);
    }
    let table = table.render(None);
    let mut lines = table.lines();
    writeln!(out, "{}", lines.next().unwrap_or_default())?;
    for (line, Listed { entry, .. }) in lines.zip(certificates) {
        writeln!(out, "{line}")?;
        if !entry.names.is_empty() {
            writeln!(out, "{}", prose::indented(&names(entry), "  ", width))?;
        }
        let rest = format!(
            "{} to {}, serial {}",
            date(entry.not_before),
            date(entry.not_after),
            entry.serial
        );
        let rest = prose::indented(&rest, "  ", width);
        writeln!(out, "{}", Tone::Quiet.paint(rest))?;
    }
    Ok(())
}

fn revocation_list(list: &Crl, now: Timestamp) -> (Tone, String) {
    let (tone, until) = match list.next_update {
        Some(end) if end <= now => {
            let remedy = "the next issue or revoke signs a new one";
            (
                Tone::Bad,
                format!("out of date since {}: {remedy}", date(end)),
            )
        }
        Some(end) => (Tone::Quiet, format!("valid until {}", date(end))),
        None => (Tone::Quiet, "without an expiry date".to_owned()),
    };
    let number = list
        .number
        .map_or_else(|| "?".to_owned(), |number| number.to_string());
    let text = format!(
        "revocation list {number} of {}: {}, {until}",
        common_name(&list.issuer),
        counted(list.revoked.len(), "certificate"),
    );
    (tone, text)
}

fn names(entry: &Entry) -> String {
    let names: Vec<String> = entry.names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The common name in a subject, or all of it if it has none.
fn common_name(subject: &str) -> &str {
    subject
        .split(", ")
        .find_map(|part| part.strip_prefix("CN="))
        .unwrap_or(subject)
}

fn purpose(entry: &Entry) -> String {
    if entry.authority {
        return "issuing".to_owned();
    }
    or_dash(&entry.usages.join(", "))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

/// A time to the minute, in UTC.
fn date(time: Timestamp) -> String {
    let text = time.to_string();
    let minutes = text.get(..16).unwrap_or(&text);
    minutes.replace('T', " ")
}

fn state(certificate: &Listed, now: Timestamp) -> Cell {
    let left = certificate.valid_seconds;
    let seconds = |seconds: i64| span(Duration::from_secs(seconds.unsigned_abs()).as_secs_f64());
    match certificate.entry.revocation {
        Revocation::Revoked { since, .. } => {
            let ago = now.as_second() - since.as_second();
            Tone::Bad.cell(format!("revoked {} ago", seconds(ago)))
        }
        _ if left <= 0 => Tone::Bad.cell(format!("ended {} ago", seconds(left))),
        _ if certificate.entry.not_before > now => {
            let wait = certificate.entry.not_before.as_second() - now.as_second();
            Tone::Warning.cell(format!("begins in {}", seconds(wait)))
        }
        Revocation::Good => Tone::Good.cell(format!("valid {}", seconds(left))),
        Revocation::Unknown => Tone::Plain.cell(format!("{} left", seconds(left))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::listing::tests::lab, *};

    #[test]
    fn each_certificate_has_its_line_and_each_list() {
        let (_directory, authority) = lab();
        let mut out = Vec::new();
        show(&mut out, &Listing::of(&authority).unwrap(), None).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[1].contains("  issuing  ECDSA P-256  "), "{text}");
        assert!(lines[2].contains("  spiffe://operator.example/vim/1  client  "));
        assert!(lines[2].contains("  valid 1h "), "{text}");
        assert!(lines[3].contains("  revoked "), "{text}");
        let last = "revocation list 2 of manoward lab CA: 1 certificate, valid until 20";
        assert!(lines[4].starts_with(last), "{text}");
    }

    #[test]
    fn on_a_narrow_terminal_names_stand_below() {
        let (_directory, authority) = lab();
        let mut out = Vec::new();
        let listing = Listing::of(&authority).unwrap();
        show(&mut out, &listing, Some(80)).unwrap();
        let text = str::from_utf8(&out).unwrap();
        assert!(columns(text) <= 80, "{text}");
        let text = strip_str(text).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("manoward lab CA  issuing  "), "{text}");
        assert!(lines[3].starts_with("vim-1            client   "), "{text}");
        assert_eq!(lines[4], "  spiffe://operator.example/vim/1");
        let serial = listing.certificates[1].entry.serial.to_string();
        assert!(lines[5].ends_with(&format!(", serial {serial}")), "{text}");
    }

    #[test]
    fn unknown_revocation_is_reported() {
        let (_directory, authority) = lab();
        let listing = Listing::of(&authority).unwrap();
        let told = |listing: &Listing| {
            let mut out = Vec::new();
            show(&mut out, listing, None).unwrap();
            str::from_utf8(&out).unwrap().contains("--crl")
        };
        assert!(!told(&listing));
        let mut listing = listing;
        listing.certificates[1].entry.revocation = Revocation::Unknown;
        assert!(told(&listing));
    }

    #[test]
    fn an_outdated_list_is_shown_with_the_remedy() {
        let (_directory, authority) = lab();
        let mut list = Listing::of(&authority).unwrap().crls.swap_remove(0);
        let now = Timestamp::now();
        list.next_update = Some(now - Duration::from_secs(1));
        let (tone, text) = revocation_list(&list, now);
        assert_eq!(tone, Tone::Bad);
        assert!(
            text.ends_with("the next issue or revoke signs a new one"),
            "{text}"
        );
    }

    #[test]
    fn the_state_of_a_certificate_follows_the_time() {
        let (_directory, authority) = lab();
        let mut certificate = Listing::of(&authority).unwrap().certificates.swap_remove(1);
        let now = Timestamp::now();
        let mut told = |seconds| {
            certificate.valid_seconds = seconds;
            state(&certificate, now).content()
        };
        assert_eq!(told(90), "valid 1m 30s");
        assert_eq!(told(-3600), "ended 1h 0m ago");
        certificate.entry.revocation = Revocation::Unknown;
        certificate.valid_seconds = 90;
        assert_eq!(state(&certificate, now).content(), "1m 30s left");
        certificate.entry.not_before = now + Duration::from_secs(5);
        assert_eq!(state(&certificate, now).content(), "begins in 5s");
    }

    #[test]
    fn names_are_short() {
        assert_eq!(common_name("O=a, CN=b c"), "b c");
        assert_eq!(common_name("O=a"), "O=a");
    }
}
