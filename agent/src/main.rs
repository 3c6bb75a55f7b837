//! `manoward`: the agent, and the commands to operate it.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command, Context, Exit, break_glass, lease, pki, policy};
use tokio::runtime;

/// Requests that read the kernel's maps, or check a policy, at the same time.
const READERS: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.choose();
    let context = Context::new(&cli);
    let ended = run(cli.command, &context);
    cli::end(ended, &context).into()
}

fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let mut threads = match command {
        Command::Agent(_) => {
            let mut threads = runtime::Builder::new_multi_thread();
            // Only for [`READERS`]; the enforcer has its own threads. Few, as the allocator keeps
            // the peak memory of each thread.
            threads.max_blocking_threads(READERS);
            threads
        }
        _ => runtime::Builder::new_current_thread(),
    };
    let runtime = threads.enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Agent(args) => cli::agent::run(args).await,
            Command::Policy(args) => match args.command {
                policy::Command::Check(args) => policy::check::run(args, context).await,
                policy::Command::Diff(args) => policy::diff::run(args, context).await,
                policy::Command::Apply(args) => policy::apply::run(args, context).await,
                policy::Command::Patch(args) => policy::patch::run(args, context).await,
                policy::Command::Confirm(args) => policy::confirm::confirm(args, context).await,
                policy::Command::Cancel(args) => policy::confirm::cancel(args, context).await,
                policy::Command::Try(args) => policy::try_out::run(args, context).await,
                policy::Command::Promote(args) => policy::try_out::promote(args, context).await,
                policy::Command::Rollback(args) => policy::rollback::run(args, context).await,
                policy::Command::History(args) => policy::history::run(args, context).await,
                policy::Command::Keygen(args) => policy::sign::keygen(&args),
                policy::Command::Sign(args) => policy::sign::sign(&args),
                policy::Command::Learn(args) => policy::learn::run(args).await,
                policy::Command::Replay(args) => policy::replay::run(args, context).await,
                policy::Command::Show(args) => policy::show::run(args, context).await,
            },
            Command::Status(args) => cli::status::run(args, context).await,
            Command::Stats(args) => cli::stats::run(args, context).await,
            Command::Endpoints(args) => cli::endpoints::run(args, context).await,
            Command::Flows(args) => cli::flows::run(args, context).await,
            Command::Services(args) => cli::services::run(&args, context),
            Command::Explain(args) => cli::explain::run(args, context).await,
            Command::Lease(args) => match args.command {
                lease::Command::List(args) => lease::list(args, context).await,
                lease::Command::Revoke(args) => lease::revoke(args, context).await,
            },
            Command::BreakGlass(args) => match args.command {
                break_glass::Command::Open(args) => break_glass::open(args, context).await,
                break_glass::Command::Close(args) => break_glass::close(args, context).await,
                break_glass::Command::Status(args) => break_glass::status(args, context).await,
            },
            Command::Join(args) => cli::join::run(args, context).await,
            Command::Detach(args) => cli::detach::run(args, context).await,
            Command::Pki(args) => match args.command {
                pki::Command::Init(args) => pki::init::run(args, context),
                pki::Command::Issue(args) => pki::issue::run(args, context),
                pki::Command::Revoke(args) => pki::revoke::run(args, context),
                pki::Command::Show(args) => pki::show::run(&args, context),
            },
            Command::Schema(args) => cli::schema::run(args),
            Command::Completions(args) => cli::completions::run(&args),
            Command::Man(args) => cli::man::run(args),
        }
    })
}
