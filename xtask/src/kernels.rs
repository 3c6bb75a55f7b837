//! `cargo xtask kernels`: boots Debian's kernels in emulated machines, and tests what works there
//! and what the programs cost each verifier, including that of this machine.

mod budget;
mod download;
mod here;
mod initramfs;
mod machine;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
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

/// Longest time of a run; a machine that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(30);
const PATIENCE_QUICK: Duration = Duration::from_mins(5);

/// The documentation that is written.
const PAGE: &str = "docs/kernels.md";
/// The documentation in which the budget's tables are written anew.
const BUDGET_PAGE: &str = "docs/architecture.md";

/// Name of this machine's kernel.
const HERE: &str = "here";

/// Tests what works in older kernels, and what the programs cost their verifiers and this
/// machine's. Boots Debian's kernels under qemu without hardware virtualisation, so a kernel takes
/// minutes; `--only here` takes seconds.
#[derive(clap::Args)]
pub struct Args {
    /// Only these versions; `here` is the kernel of this machine, of which only the budget is
    /// shown.
    #[arg(long, num_args = 1.., value_name = "VERSION")]
    only: Vec<String>,

    /// Only what takes seconds: boot, load, attach to a NIC and a bond, a part of the tests.
    #[arg(long)]
    quick: bool,

    /// Only what the programs cost the verifiers.
    #[arg(long, conflicts_with_all = ["quick", "row"])]
    budget: bool,

    /// Only the rows whose name contains this word.
    #[arg(long, value_name = "WORD", value_parser = word)]
    row: Option<String>,

    /// Write what was found into docs/kernels.md, and the budget into docs/architecture.md; with
    /// `--budget` only the latter. Takes all kernels.
    #[arg(long, conflicts_with_all = ["only", "quick", "row"])]
    write_docs: bool,

    /// How to show what was found.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Parses a word for the kernel's command line: not empty, without spaces and quotes.
fn word(text: &str) -> Result<String, &'static str> {
    let whole = !text.is_empty() && !text.contains(|it: char| it.is_whitespace() || it == '"');
    whole.then(|| text.to_owned()).ok_or("it must be one word")
}

impl Args {
    /// Options of the first process, for the kernel's command line.
    fn words(&self) -> String {
        let quick = self.quick.then(|| "manoward.quick".to_owned());
        let budget = self.budget.then(|| "manoward.budget".to_owned());
        let row = self.row.as_ref().map(|row| format!("manoward.row={row}"));
        quick
            .into_iter()
            .chain(budget)
            .chain(row)
            .collect::<Vec<_>>()
            .join(" ")
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

/// Runs the command. A failed row is reported by the exit code, not as an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    let chosen = chosen(&args.only)?;
    if chosen.iter().any(|kernel| *kernel != Kernel::Here) {
        setup::provide(Part::Kernels)?;
    }
    let binaries = binaries(tests(&chosen, args))?;
    let mut columns = Vec::new();
    for kernel in chosen {
        columns.push(look(kernel, &binaries, args)?);
        if args.write_docs {
            // After each kernel, as a run takes long.
            write(&columns, args.budget)?;
        }
    }
    match args.output {
        Output::Table => print!("{}{}", report::table(&columns), budget::terminal(&columns)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&columns)?),
    }
    let hold = columns.iter().all(Column::holds);
    Ok(if hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes what was found into the documentation, or the budget alone.
fn write(columns: &[Column], budget: bool) -> Result<()> {
    let path = workspace::root().join(BUDGET_PAGE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {BUDGET_PAGE}"))?;
    let text = budget::written(&text, columns).with_context(|| format!("in {BUDGET_PAGE}"))?;
    fs::write(&path, text).with_context(|| format!("writing {BUDGET_PAGE}"))?;
    if !budget {
        let emulated = columns.iter().filter(|it| it.version != HERE);
        let emulated: Vec<Column> = emulated.cloned().collect();
        let page = workspace::root().join(PAGE);
        fs::write(&page, report::page(&emulated)).with_context(|| format!("writing {PAGE}"))?;
    }
    Ok(())
}

/// A kernel that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// A kernel that is booted.
    Emulated(Release),
    /// The kernel of this machine.
    Here,
}

impl Kernel {
    const fn name(self) -> &'static str {
        match self {
            Self::Emulated(release) => release.version,
            Self::Here => HERE,
        }
    }
}

fn chosen(only: &[String]) -> Result<Vec<Kernel>> {
    let kernels = || {
        RELEASES
            .map(Kernel::Emulated)
            .into_iter()
            .chain([Kernel::Here])
    };
    for name in only {
        if !kernels().any(|kernel| kernel.name() == name) {
            let known: Vec<_> = kernels().map(Kernel::name).collect();
            bail!("there is no kernel {name}; there are {}", known.join(", "));
        }
    }
    let wanted = |kernel: &Kernel| only.is_empty() || only.iter().any(|it| it == kernel.name());
    Ok(kernels().filter(wanted).collect())
}

/// Of [`TESTS`], those that will run.
fn tests(chosen: &[Kernel], args: &Args) -> &'static [&'static str] {
    if args.budget || chosen == [Kernel::Here] {
        &[]
    } else if args.quick {
        &TESTS[..1]
    } else {
        &TESTS
    }
}

/// Builds what runs in the machine. Not optimised: the emulated verifier takes most of the time.
fn binaries(tests: &[&str]) -> Result<Binaries> {
    build::object()?;
    // In one build, so that both share dependencies.
    let packages = ["--package", "manoward", "--package", GUEST];
    process::run(&mut build::cargo(&[&["build"], &packages[..]].concat()))
        .context("building the agent and the first process")?;
    let agent = workspace::agent("debug");
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

fn look(kernel: Kernel, binaries: &Binaries, args: &Args) -> Result<Column> {
    let name = kernel.name();
    eprintln!("\n{} Linux {name}", style("==>").for_stderr().cyan().bold());
    let started = Instant::now();
    let folder = workspace::target_dir().join("kernels").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (release, ending) = match kernel {
        Kernel::Here => {
            let word = args.row.as_deref().unwrap_or_default();
            (
                here::release()?,
                here::run(&binaries.guest, &folder, word, show)?,
            )
        }
        Kernel::Emulated(release) => boot(release, binaries, &folder, args)?,
    };
    let column = Column {
        version: name.to_owned(),
        release,
        rows: ending.rows,
        cut: ending.cut,
        seconds: started.elapsed().as_secs_f64(),
    };
    let elapsed = seconds(started.elapsed());
    if !column.holds() {
        let log = folder.join("console.log");
        let why = column.cut.as_deref().unwrap_or("a row failed");
        eprintln!(
            "{} {why}; the console is in {}",
            style("failed:").for_stderr().red(),
            log.display()
        );
    }
    eprintln!("Linux {name} took {elapsed}");
    Ok(column)
}

fn show(row: &Row) {
    eprintln!("{}", report::line(row));
}

/// Boots a kernel; returns its full release, and how the run ended.
fn boot(
    release: Release,
    binaries: &Binaries,
    folder: &Path,
    args: &Args,
) -> Result<(String, machine::Ending)> {
    let kernel = download::provide(release, folder)?;
    let image = initramfs::pack(&kernel, binaries, folder)?;
    let boot = machine::Boot {
        image: &kernel.image,
        initramfs: &image,
        folder,
        words: &args.words(),
    };
    let ending = machine::run(&boot, args.patience(), show)?;
    Ok((kernel.release, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_kernels_are_chosen() {
        assert_eq!(chosen(&[]).unwrap().len(), RELEASES.len() + 1);
        let one = chosen(&["6.1".to_owned()]).unwrap();
        assert_eq!(one[0].name(), "6.1");
        assert_eq!(chosen(&["here".to_owned()]).unwrap(), [Kernel::Here]);
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
