//! `manoward join`

use std::{
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
};

use clap::Args;
use manoward::{
    join::{
        self, Files, Host, HostStatus, Options, Source, State, Status,
        check::{self, Finding, Severity},
        service,
    },
    logging,
};
use serde::Serialize;

use super::{
    Context, Exit,
    output::{self, Format},
    quantity::counted,
    tone::Tone,
};

/// Enrol this endpoint at hosts, and keep it enrolled.
///
/// Runs beside the endpoint's own service (VIM, VNFM ...), without privileges. It holds a session
/// with each host, authenticated by the endpoint's certificate; as long as the session lives, the
/// host admits the endpoint's packets. Files are read again when they change: a new certificate
/// replaces the old one without interruption.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward join --to compute-17 --cert vim.pem --key vim.key --ca ca.pem --once --check
  manoward join --to compute-17,compute-18:7444 --cert vim.pem --key vim.key --ca ca.pem
  manoward join --hosts computes.txt --cert vim.pem --key vim.key --ca ca.pem \\
      --status-file /run/manoward-join/status.json

With --once the exit code is 0 if all hosts admit the endpoint, and 1 if not.")]
pub struct Join {
    /// Hosts to enrol at: names as in their certificates, or addresses
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        value_delimiter = ',',
        required_unless_present = "hosts",
        conflicts_with = "hosts"
    )]
    to: Vec<Host>,

    /// File with one host per line, read again when it changes; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,

    /// The endpoint's certificate with its intermediates, PEM
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Authorities that the hosts' certificates are verified against, PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// Address of this machine to send from
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,

    /// Enrol at each host once, report, and end
    #[arg(long)]
    once: bool,

    /// Also check the files, and say what is wrong with them
    #[arg(long, requires = "once")]
    check: bool,

    /// File to keep the current state of each host in, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    status_file: Option<PathBuf>,
}

/// What `--once` found.
#[derive(Serialize)]
struct Report {
    /// What is wrong with the files; only with `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<Finding>>,
    /// What the hosts said; none if no host could be asked.
    #[serde(flatten)]
    status: Option<Status>,
}

pub async fn run(args: Join, context: &Context) -> anyhow::Result<Exit> {
    let files = Files {
        certificate: args.cert,
        key: args.key,
        ca: args.ca,
    };
    let hosts = match args.hosts {
        Some(file) => Source::File(file),
        None => Source::List(args.to),
    };
    let options = Options {
        hosts,
        files,
        bind: args.bind,
    };
    let ended = if args.once {
        once(&options, args.check, context.format).await
    } else {
        serve(options, args.status_file, context.format).await
    };
    // As plain text, so that a file that cannot be read is not reported as "this needs root": this
    // command runs without root, and the file needs another owner.
    ended.map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(_) => error,
        None => anyhow::anyhow!(super::message(&error)),
    })
}

async fn serve(
    options: Options,
    status_file: Option<PathBuf>,
    format: Format,
) -> anyhow::Result<Exit> {
    logging::init();
    service::run(options, status_file, move |host| {
        let mut out = output::stdout();
        // The sessions go on if the output is closed.
        let _ = match format {
            Format::Json => output::json_line(&mut out, host),
            Format::Table => line(&mut out, host),
        };
    })
    .await?;
    Ok(Exit::Success)
}

async fn once(options: &Options, check: bool, format: Format) -> anyhow::Result<Exit> {
    let findings = check.then(|| check::files(&options.files));
    if format == Format::Table {
        show_findings(&mut output::stdout(), findings.as_deref())?;
    }
    let asked = join::once(options, move |host| {
        if format == Format::Table {
            // The other hosts are asked although the output is closed.
            let _ = line(&mut output::stdout(), host);
        }
    })
    .await;
    // If the files were checked, the findings say already why no host could be asked.
    let told = findings
        .iter()
        .flatten()
        .any(|f| f.severity == Severity::Error);
    let status = match asked {
        Ok(status) => Some(status),
        Err(join::JoinError::Pki(_)) if told => None,
        Err(error) => return Err(error.into()),
    };
    let (hosts, granted) = status
        .as_ref()
        .map_or((0, 0), |s| (s.hosts.len(), s.granted));
    let all = status.is_some() && granted == hosts;
    let mut out = output::stdout();
    match format {
        Format::Json => {
            let files = findings;
            output::json(&mut out, &Report { files, status })?;
        }
        Format::Table if status.is_none() => {
            let end = "no host was asked, as the files cannot be used";
            writeln!(out, "{}", Tone::Bad.paint(end))?;
        }
        Format::Table => {
            let tone = if all { Tone::Good } else { Tone::Bad };
            let end = format!("admitted by {granted} of {}", counted(hosts, "host"));
            writeln!(out, "{}", tone.paint(end))?;
        }
    }
    Ok(if all { Exit::Success } else { Exit::Failed })
}

fn show_findings(out: &mut impl Write, findings: Option<&[Finding]>) -> io::Result<()> {
    for finding in findings.unwrap_or_default() {
        let (tone, label) = match finding.severity {
            Severity::Error => (Tone::Bad, "error"),
            Severity::Warning => (Tone::Warning, "warning"),
        };
        let label = format!("{label}[{}]", finding.code);
        writeln!(out, "{}: {}", tone.paint(label), finding.sentence)?;
    }
    Ok(())
}

/// Writes a host's state as one line.
fn line(out: &mut impl Write, host: &HostStatus) -> io::Result<()> {
    let name = &host.host;
    let sentence = host.sentence.as_deref().unwrap_or_default();
    match host.state {
        State::Granted if sentence.is_empty() => {
            let endpoint = host.endpoint.as_deref().unwrap_or_default();
            let role = host.role.as_deref().unwrap_or_default();
            let granted = Tone::Good.paint("admitted");
            writeln!(out, "{name}: {granted} as {endpoint}, role {role}")
        }
        State::Granted => {
            let renewed = Tone::Warning.paint("admitted, but not with the new certificate");
            writeln!(out, "{name}: {renewed}: {sentence}")
        }
        State::Refused => writeln!(out, "{name}: {}: {sentence}", Tone::Bad.paint("refused")),
        State::Failed => writeln!(out, "{name}: {}: {sentence}", Tone::Bad.paint("failed")),
        State::Connecting => writeln!(out, "{name}: connecting"),
    }
}
