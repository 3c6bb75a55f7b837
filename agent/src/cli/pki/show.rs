//! `manoward pki show`

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use comfy_table::Cell;
use jiff::Timestamp;
use manoward::pki::{self, Authority, Crl, Entry, Revocation};
use serde::Serialize;

use crate::cli::{
    Context, Exit,
    output::{self, Format},
    quantity::{counted, span},
    table::{Column, Table},
    tone::Tone,
};

/// Show certificates: whom they name, how long they are valid, and what is revoked.
///
/// Shows all that an authority has, or what is in a PEM file. What is revoked is known from the
/// list of who issued it: that of the authority, crl.pem beside the file, or --crl. Signatures are
/// not verified; `openssl verify` does that.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki show lab-ca
  manoward pki show vim-1.pem --crl lab-ca/crl.pem
  manoward pki show lab-ca --output json | jq -r '.certificates[] | select(.revocation.status == \"revoked\").serial'")]
pub struct Show {
    /// An authority's directory, or a file of certificates
    #[arg(value_name = "DIR|FILE.pem")]
    path: PathBuf,

    /// Know from this revocation list what is revoked
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

/// What is shown.
#[derive(Serialize)]
pub struct Shown {
    certificates: Vec<Shaped>,
    crls: Vec<Crl>,
}

/// A certificate with what the time makes of it.
#[derive(Serialize)]
struct Shaped {
    #[serde(flatten)]
    entry: Entry,
    /// Until it ends; negative if it has.
    valid_seconds: i64,
}

impl Shown {
    /// All that an authority has.
    pub fn of(authority: &Authority) -> anyhow::Result<Self> {
        let inventory = authority.inventory()?;
        Ok(Self::new(inventory.certificates, inventory.crls))
    }

    fn new(entries: Vec<Entry>, crls: Vec<Crl>) -> Self {
        let now = Timestamp::now().as_second();
        let shape = |entry: Entry| Shaped {
            valid_seconds: entry.not_after.as_second() - now,
            entry,
        };
        Self {
            certificates: entries.into_iter().map(shape).collect(),
            crls,
        }
    }
}

pub fn run(args: &Show, context: &Context) -> anyhow::Result<Exit> {
    let shown = if args.path.is_dir() && args.crl.is_none() {
        Shown::of(&Authority::open(&args.path)?)?
    } else {
        of_file(&args.path, args.crl.as_deref())?
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &shown)?,
        Format::Table => show(&mut out, &shown, output::width())?,
    }
    Ok(Exit::Success)
}

fn of_file(path: &Path, crl: Option<&Path>) -> anyhow::Result<Shown> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let beside = path.with_file_name("crl.pem");
    let crl = crl.or_else(|| beside.is_file().then_some(beside.as_path()));
    let crls = match crl {
        Some(crl) => pki::crls(&read(crl)?, crl)?,
        None => Vec::new(),
    };
    let entries = pki::certificates(&read(path)?, path, &crls)?;
    Ok(Shown::new(entries, crls))
}

fn show(out: &mut impl Write, shown: &Shown, width: Option<u16>) -> io::Result<()> {
    let mut table = Table::new([
        Column::Long("SUBJECT"),
        Column::Long("NAMES"),
        Column::Long("FOR"),
        Column::Short("KEY"),
        Column::Long("FROM"),
        Column::Long("UNTIL"),
        Column::Long("STATE"),
        Column::Long("SERIAL"),
    ]);
    let now = Timestamp::now();
    for certificate in &shown.certificates {
        let entry = &certificate.entry;
        let names: Vec<String> = entry.names.iter().map(ToString::to_string).collect();
        table.row([
            Tone::Strong.cell(common_name(&entry.subject)),
            Tone::Plain.cell(or_dash(&names.join(", "))),
            Tone::Plain.cell(purpose(entry)),
            Tone::Plain.cell(&entry.key),
            Tone::Quiet.cell(date(entry.not_before)),
            Tone::Plain.cell(date(entry.not_after)),
            state(certificate, now),
            Tone::Quiet.cell(entry.serial.to_string()),
        ]);
    }
    out.write_all(table.render(width).as_bytes())?;
    for list in &shown.crls {
        let (tone, until) = match list.next_update {
            Some(end) if end <= now => {
                let remedy = "the next issue or revoke signs a new one";
                (
                    Tone::Bad,
                    format!("out of date since {}: {remedy}", date(end)),
                )
            }
            Some(end) => (Tone::Quiet, format!("valid until {}", date(end))),
            None => (Tone::Quiet, "without an end".to_owned()),
        };
        let number = list
            .number
            .map_or_else(|| "?".to_owned(), |number| number.to_string());
        let line = format!(
            "revocation list {number} of {}: {}, {until}",
            common_name(&list.issuer),
            counted(list.revoked.len(), "certificate"),
        );
        writeln!(out, "{}", tone.paint(line))?;
    }
    Ok(())
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

/// A date; with the time where the day is not enough to tell.
fn date(time: Timestamp) -> String {
    let text = time.to_string();
    let minutes = text.get(..16).unwrap_or(&text);
    minutes.replace('T', " ")
}

fn state(certificate: &Shaped, now: Timestamp) -> Cell {
    let left = certificate.valid_seconds;
    let seconds = |seconds: i64| span(Duration::from_secs(seconds.unsigned_abs()).as_secs_f64());
    match certificate.entry.revocation {
        Revocation::Revoked { since, .. } => Tone::Bad.cell(format!("revoked {}", date(since))),
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
    use anstream::adapter::strip_str;
    use manoward::pki::{Name, Options, Reason, Request, Validity, Which};
    use tempfile::TempDir;

    use super::*;

    fn lab() -> (TempDir, Authority) {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(directory.path(), &Options::default()).unwrap();
        let name = Name::uri("spiffe://operator.example/vim/1").unwrap();
        for vim in ["vim-1", "vim-2"] {
            let request = Request {
                validity: Validity::For(Duration::from_mins(61)),
                ..Request::endpoint(vim, [name.clone()])
            };
            authority.issue(&request, directory.path()).unwrap();
        }
        let which = Which::Named("vim-2".into());
        authority.revoke(&which, Reason::KeyCompromise).unwrap();
        (directory, authority)
    }

    #[test]
    fn each_certificate_has_its_line_and_each_list() {
        let (_directory, authority) = lab();
        let mut out = Vec::new();
        show(&mut out, &Shown::of(&authority).unwrap(), None).unwrap();
        let text = strip_str(str::from_utf8(&out).unwrap()).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[1].contains("  issuing  ECDSA P-256  "), "{text}");
        assert!(lines[2].contains("  spiffe://operator.example/vim/1  client  "));
        assert!(lines[2].contains("  valid 1h "), "{text}");
        assert!(lines[3].contains("  revoked 20"), "{text}");
        let last = "revocation list 2 of manoward lab CA: 1 certificate, valid until 20";
        assert!(lines[4].starts_with(last), "{text}");
    }

    #[test]
    fn programs_get_the_same() {
        let (directory, authority) = lab();
        let value = serde_json::to_value(Shown::of(&authority).unwrap()).unwrap();
        let certificates = value["certificates"].as_array().unwrap();
        assert_eq!(certificates.len(), 3);
        assert_eq!(certificates[0]["authority"], true);
        let names = &certificates[1]["names"];
        assert_eq!(names[0]["uri"], "spiffe://operator.example/vim/1");
        assert_eq!(certificates[1]["revocation"]["status"], "good");
        assert_eq!(certificates[2]["revocation"]["status"], "revoked");
        assert_eq!(certificates[2]["revocation"]["reason"], 1);
        assert!(certificates[1]["valid_seconds"].as_i64().unwrap() > 3600);
        let list = &value["crls"][0];
        assert_eq!(list["number"], 2);
        assert_eq!(list["revoked"][0]["serial"], certificates[2]["serial"]);
        // A file beside the list says the same of itself.
        let shown = of_file(&directory.path().join("vim-2.pem"), None).unwrap();
        let of_file = serde_json::to_value(shown).unwrap();
        assert_eq!(
            of_file["certificates"][0]["revocation"]["status"],
            "revoked"
        );
    }

    #[test]
    fn what_the_time_makes_of_a_certificate() {
        let (_directory, authority) = lab();
        let mut certificate = Shown::of(&authority).unwrap().certificates.swap_remove(1);
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
