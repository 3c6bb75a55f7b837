//! `manoward policy keygen` and `manoward policy sign`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use manoward::{
    files::Owner,
    policy::{self, compose::compose},
    signature::{NewKeys, PrivateKey, beside},
};

use crate::cli::{Exit, output};

/// Make a pair of keys to sign policies with.
///
/// The keys are Ed25519, in the forms of OpenSSL. The private one is written to FILE, for its owner
/// alone; the public one to FILE.pub, which agents are to trust (`trusted_keys` in agent.yaml).
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy keygen policy.key
  openssl pkey -in policy.key -text")]
pub struct Keygen {
    /// Where the private key is written
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Sign a policy.
///
/// The signature is written to FILE.sig, where `policy apply` and the agent find it. It is one of the
/// bytes of the file, or of what it comes to with the files beside it (`policy check
/// --explain-effective`): a policy that is changed has to be signed again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy sign --key policy.key policy.yaml
  openssl pkeyutl -verify -pubin -inkey policy.key.pub -rawin -in policy.yaml \\
    -sigfile policy.yaml.sig")]
pub struct Sign {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The private key, PKCS#8 in PEM
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
}

pub fn keygen(args: &Keygen) -> anyhow::Result<Exit> {
    let keys = NewKeys::generate()?;
    let mut public = args.file.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    write_new(&args.file, &keys.private, 0o600)?;
    write_new(&public, &keys.public, 0o644)?;
    let (private, public) = (args.file.display(), public.display());
    writeln!(
        output::stdout(),
        "private key {private}\npublic key  {public}"
    )?;
    Ok(Exit::Success)
}

pub fn sign(args: &Sign) -> anyhow::Result<Exit> {
    let name = args.file.display().to_string();
    let text = compose(&args.file, Owner::Anyone)?.text;
    let serial = policy::read(&text, &name)?.policy.serial;
    let key = PrivateKey::read(&args.key)?;
    let signature = beside(&args.file);
    let path = signature.display();
    fs::write(&signature, key.sign(text.as_bytes()))
        .with_context(|| format!("cannot write {path}"))?;
    writeln!(output::stdout(), "serial {serial} is signed: {path}")?;
    Ok(Exit::Success)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow::anyhow!("there is a file already, name another")
            }
            _ => error.into(),
        })
        .with_context(|| format!("cannot write {}", path.display()))
}
