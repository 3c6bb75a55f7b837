//! `manoward pki issue`

use std::{io::Write as _, net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;
use manoward_pki::{Authority, Key, KeyAlgorithm, Name, Purpose, Request, Validity};

use super::{days, files, warn};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    tone::Tone,
};

/// Issue a certificate to an endpoint or a host.
///
/// Writes NAME.pem, with the intermediate's certificate after it if there is one, and NAME.key.
/// With a SPIFFE ID it is a SPIFFE X.509-SVID: one URI, no authority, for digital signatures. For
/// labs and tests, not for production.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki issue lab-ca vim-1 --uri spiffe://operator.example/vim/1
  manoward pki issue lab-ca bastion --dns bastion.operator.example --hours 8
  manoward pki issue lab-ca compute-17 --host --dns compute-17.example --ip 192.0.2.17
  manoward pki issue lab-ca vim-rsa --uri spiffe://operator.example/vim/2 --key vim-rsa.key")]
pub struct Issue {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Name of the files, and common name of the certificate
    #[arg(value_name = "NAME")]
    name: String,

    /// A URI to name in the certificate, such as a SPIFFE ID
    #[arg(long, value_name = "URI", value_parser = Name::uri)]
    uri: Vec<Name>,

    /// A DNS name to name in the certificate
    #[arg(long, value_name = "NAME", value_parser = Name::dns)]
    dns: Vec<Name>,

    /// An IP address to name in the certificate
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    ip: Vec<Name>,

    /// For a host: as TLS server and client; without this, as TLS client only
    #[arg(long)]
    host: bool,

    /// Days that it is valid; 90 if neither this nor --hours is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,

    /// Hours that it is valid
    #[arg(long, value_name = "N", conflicts_with = "days", value_parser = clap::value_parser!(u32).range(1..=876_000))]
    hours: Option<u32>,

    /// Directory to write to [default: the authority's]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Algorithm of its key
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value_t)]
    algorithm: KeyAlgorithm,

    /// Use the key in this file, instead of a new one: PKCS#8 in PEM, also RSA
    #[arg(long, value_name = "FILE", conflicts_with = "algorithm")]
    key: Option<PathBuf>,
}

pub fn run(args: Issue, context: &Context) -> anyhow::Result<Exit> {
    let authority = Authority::open(&args.directory)?;
    let lifetime = match (args.days, args.hours) {
        (Some(number), _) => Validity::For(days(number)),
        (None, Some(hours)) => Validity::For(Duration::from_hours(hours.into())),
        (None, None) => Validity::Usual,
    };
    let request = Request {
        name: args.name,
        names: [args.uri, args.dns, args.ip].concat(),
        purpose: if args.host {
            Purpose::Host
        } else {
            Purpose::Endpoint
        },
        validity: lifetime,
        key: args.key.map_or(Key::New(args.algorithm), Key::Existing),
    };
    let out_directory = args.out.unwrap_or(args.directory);
    let issued = authority.issue(&request, &out_directory)?;
    let mut out = output::stdout();
    if context.format == Format::Json {
        output::json(&mut out, &issued)?;
        return Ok(Exit::Success);
    }
    let names: Vec<String> = request.names.iter().map(ToString::to_string).collect();
    let done = Tone::Good.paint(format!("{} is issued", request.name));
    writeln!(out, "{done} to {}", names.join(", "))?;
    let lines = [
        ("certificate", issued.certificate.as_path()),
        ("key", &issued.key),
    ];
    files(&mut out, &lines)?;
    let serial = format!("serial {}", issued.serial);
    writeln!(out, "{}", Tone::Quiet.paint(serial))?;
    warn()?;
    Ok(Exit::Success)
}

fn address(text: &str) -> Result<Name, String> {
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(Name::Ip)
        .map_err(|_| format!("`{text}` is no IP address: give a DNS name with --dns"))
}
