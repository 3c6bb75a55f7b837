//! `manoward policy`

mod answer;
pub mod apply;
mod changes;
pub mod check;
pub mod confirm;
pub mod diff;
mod file;
pub mod history;
pub mod learn;
pub mod patch;
pub mod replay;
mod report;
pub mod rollback;
pub mod show;
pub mod sign;
pub mod try_out;

use clap::{Args, Subcommand};

/// Check, compare, apply and show policies.
///
/// A policy is a YAML file. `check` it where it is written, `diff` it against what is in force,
/// and `apply` it; until the new policy is complete in the kernel, the old one is in force. With
/// `--confirm-within`, the old one returns by itself unless you `confirm` the new one. `try` shows
/// beforehand, on the traffic that there is, what would newly be dropped and admitted.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward policy check policy.yaml
  manoward policy diff policy.yaml
  sudo manoward policy try policy.yaml
  sudo manoward policy apply --confirm-within 5m policy.yaml
  sudo manoward policy confirm")]
pub struct Policy {
    /// What to do with a policy
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with a policy.
#[derive(Subcommand)]
pub enum Command {
    Check(check::Check),
    Diff(diff::Diff),
    Apply(apply::Apply),
    Patch(patch::Patch),
    Confirm(confirm::Confirm),
    Cancel(confirm::Cancel),
    Try(try_out::Try),
    Promote(try_out::Promote),
    Rollback(rollback::Rollback),
    History(history::List),
    Show(show::Show),
    Replay(replay::Replay),
    Learn(learn::Learn),
    Keygen(sign::Keygen),
    Sign(sign::Sign),
}
