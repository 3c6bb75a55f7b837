//! `cargo xtask kernels`: boots Debian's kernels in emulated machines, and finds out what works there.

mod download;
mod initramfs;
mod machine;
mod report;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use console::style;
use manoward_guest_report::Row;

use crate::progress::seconds;
use crate::setup::{self, Part};
use crate::{build, process, workspace};
use download::{RELEASES, Release};
use initramfs::Binaries;
use report::Column;

/// The crate whose binary is the first process.
const GUEST: &str = "manoward-guest";

/// Test binaries that run in the machine.
const TESTS: [&str; 2] = ["datapath", "differential"];

/// Longest runs; a machine that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(30);
const PATIENCE_QUICK: Duration = Duration::from_mins(5);

/// The documentation that is written.
const PAGE: &str = "docs/kernels.md";

/// Finds out what works in older kernels. Boots Debian's under qemu, without their help from the
/// hardware, so a kernel takes minutes.
#[derive(clap::Args)]
pub struct Args {
    /// Only these versions.
    #[arg(long, num_args = 1.., value_name = "VERSION")]
    only: Vec<String>,

    /// Only what takes seconds: boot, load, attach to a NIC and a bond, a part of the tests.
    #[arg(long)]
    quick: bool,

    /// Only the rows whose name contains this word.
    #[arg(long, value_name = "WORD", value_parser = word)]
    row: Option<String>,

    /// Write what was found into docs/kernels.md. Takes all of it.
    #[arg(long, conflicts_with_all = ["only", "quick", "row"])]
    write_docs: bool,

    /// How to show what was found.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A word, as the kernel's command line takes it.
fn word(text: &str) -> Result<String, &'static str> {
    let whole = !text.is_empty() && !text.contains(|it: char| it.is_whitespace() || it == '"');
    whole.then(|| text.to_owned()).ok_or("one word is wanted")
}

impl Args {
    /// What is asked of the first process, as words on the kernel's command line.
    fn words(&self) -> String {
        let quick = self.quick.then(|| "manoward.quick".to_owned());
        let row = self.row.as_ref().map(|row| format!("manoward.row={row}"));
        quick.into_iter().chain(row).collect::<Vec<_>>().join(" ")
    }

    const fn patience(&self) -> Duration {
        if self.quick { PATIENCE_QUICK } else { PATIENCE }
    }
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Table,
    /// JSON.
    Json,
}

/// Runs the command. A row that does not hold is no error of the command's, but its ending.
pub fn run(args: &Args) -> Result<ExitCode> {
    let chosen = chosen(&args.only)?;
    setup::provide(Part::Kernels)?;
    let binaries = binaries(args.quick)?;
    let mut columns = Vec::new();
    for release in chosen {
        columns.push(look(release, &binaries, args)?);
        if args.write_docs {
            // Each time, as a run takes long.
            let page = workspace::root().join(PAGE);
            fs::write(&page, report::page(&columns)).with_context(|| format!("writing {PAGE}"))?;
        }
    }
    match args.output {
        Output::Table => print!("{}", report::table(&columns)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&columns)?),
    }
    if args.write_docs {
        eprintln!("{PAGE} was written.");
    }
    let hold = columns.iter().all(Column::holds);
    Ok(if hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(only: &[String]) -> Result<Vec<Release>> {
    let known = || RELEASES.map(|release| release.version).join(", ");
    for version in only {
        if !RELEASES.iter().any(|release| release.version == version) {
            bail!("there is no kernel {version} here; there are {}", known());
        }
    }
    let wanted = |release: &Release| only.is_empty() || only.iter().any(|it| it == release.version);
    Ok(RELEASES.into_iter().filter(wanted).collect())
}

/// Builds what runs in the machine. Not optimised: the emulated verifier takes most of the time.
fn binaries(quick: bool) -> Result<Binaries> {
    build::object()?;
    // At once, so that both share what they depend on.
    let packages = ["--package", "manoward", "--package", GUEST];
    process::run(&mut build::cargo(&[&["build"], &packages[..]].concat()))
        .context("building the agent and the first process")?;
    let agent = workspace::agent("debug");
    let tests = if quick { &TESTS[..1] } else { &TESTS };
    let tests = tests
        .iter()
        .map(|name| Ok(((*name).to_owned(), test(name)?)));
    Ok(Binaries {
        guest: agent.with_file_name(GUEST),
        agent,
        tests: tests.collect::<Result<_>>()?,
    })
}

/// Builds a test binary, and asks cargo where it is.
fn test(name: &str) -> Result<PathBuf> {
    let mut command = build::cargo(&["test", "--package", "manoward-tests", "--no-run"]);
    command.args([
        "--test",
        name,
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().context("starting cargo test")?;
    ensure!(output.status.success(), "the tests {name} do not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| executable(line, name));
    found.with_context(|| format!("cargo does not tell where the tests {name} are"))
}

/// The executable that one of cargo's messages is about.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let of_test = message["target"]["name"] == name && message["target"]["kind"][0] == "test";
    let path = message["executable"].as_str()?;
    of_test.then(|| PathBuf::from(path))
}

fn look(release: Release, binaries: &Binaries, args: &Args) -> Result<Column> {
    let version = release.version;
    eprintln!(
        "\n{} Linux {version}",
        style("==>").for_stderr().cyan().bold()
    );
    let started = Instant::now();
    let folder = workspace::target_dir().join("kernels").join(version);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let kernel = download::provide(release, &folder)?;
    let image = initramfs::pack(&kernel, binaries, &folder)?;
    let show = |row: &Row| eprintln!("{}", report::line(row));
    let boot = machine::Boot {
        image: &kernel.image,
        initramfs: &image,
        folder: &folder,
        words: &args.words(),
    };
    let ending = machine::run(&boot, args.patience(), show)?;
    let column = Column {
        version: version.to_owned(),
        release: kernel.release,
        rows: ending.rows,
        cut: ending.cut,
        seconds: started.elapsed().as_secs_f64(),
    };
    let elapsed = seconds(started.elapsed());
    if !column.holds() {
        let log = folder.join("console.log");
        let why = column.cut.as_deref().unwrap_or("a row does not hold");
        eprintln!(
            "{} {why}; the console is in {}",
            style("failed:").for_stderr().red(),
            log.display()
        );
    }
    eprintln!("Linux {version} took {elapsed}");
    Ok(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_kernels_are_chosen() {
        assert_eq!(chosen(&[]).unwrap().len(), RELEASES.len());
        let one = chosen(&["6.1".to_owned()]).unwrap();
        assert_eq!(one[0].version, "6.1");
        assert!(chosen(&["2.6".to_owned()]).is_err());
    }

    #[test]
    fn a_test_binary_is_found_among_the_messages() {
        let line = r#"{"target":{"name":"datapath","kind":["test"]},"executable":"/t/datapath-1"}"#;
        assert_eq!(executable(line, "datapath"), Some("/t/datapath-1".into()));
        assert_eq!(executable(line, "differential"), None);
        assert_eq!(executable("Compiling", "datapath"), None);
    }
}
