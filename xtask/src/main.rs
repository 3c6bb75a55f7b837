//! Developer commands, one file each. Every command first sets up what it needs, so a fresh clone
//! needs nothing but cargo.

mod bench;
mod build;
mod demo;
mod fuzz;
mod kernels;
mod ladder;
mod lint;
mod machine;
mod mutants;
mod packages;
mod process;
mod progress;
mod setup;
mod soak;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of manoward.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    Build(build::Args),
    Lint(lint::Args),
    Test(test::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Mutants(mutants::Args),
    Demo(demo::Args),
    Kernels(kernels::Args),
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args).map(done),
        Command::Build(args) => build::run(&args).map(done),
        Command::Lint(args) => lint::run(&args).map(done),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Soak(args) => soak::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!(
                "{} {error:#}",
                console::style("error:").for_stderr().red().bold()
            );
            ExitCode::FAILURE
        }
    }
}
