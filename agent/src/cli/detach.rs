//! `manoward detach`

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::bail;
use clap::Args;
use manoward::{config::DEFAULT_PATH, datapath::Pins};
use manoward_api::Detached;

use super::{
    Context, Exit,
    output::{self, Format},
    pinned,
    tone::Tone,
};

/// End enforcement on this host: every packet passes.
///
/// Detaches the programs from all interfaces and removes their maps. A running agent does this, and
/// then stops. If none runs, this command does it itself: the programs outlive the agent. The next
/// start of the agent, also by a restart of the host, enforces again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward detach
  sudo manoward detach --yes")]
pub struct Detach {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,

    /// Where the maps and links are pinned, if no agent runs; otherwise agent.yaml says so
    #[arg(long, value_name = "PATH")]
    pins: Option<PathBuf>,

    /// The agent's configuration
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

pub async fn run(args: Detach, context: &Context) -> anyhow::Result<Exit> {
    if !args.yes {
        match confirmed()? {
            Some(true) => {}
            Some(false) => {
                writeln!(output::stderr(), "Nothing was changed.")?;
                return Ok(Exit::Failed);
            }
            None => {
                let hint = "cannot ask for confirmation without a terminal: confirm with --yes";
                output::remark(Tone::Bad, "error", hint)?;
                return Ok(Exit::Usage);
            }
        }
    }
    let detached = match context.client.detach().await {
        Ok(detached) => detached,
        Err(error) if error.is_absent() => directly(args.pins, &args.config)?,
        Err(error) => return Err(error.into()),
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &detached)?,
        Format::Table if detached.interfaces.is_empty() => {
            writeln!(out, "Nothing was attached.")?;
        }
        Format::Table => {
            let interfaces = detached.interfaces.join(", ");
            writeln!(
                out,
                "Detached from {interfaces}: every packet passes there, until the agent is started \
                 again.\nTo keep it from starting with the host: systemctl disable manoward"
            )?;
        }
    }
    Ok(Exit::Success)
}

/// Asks for confirmation; `None` if there is no terminal to ask on.
fn confirmed() -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut err = output::stderr();
    let question = "Every packet to this host's management addresses will pass. Go on? [y/N]";
    write!(err, "{} ", Tone::Warning.paint(question))?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(is_yes(&answer)))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Removes the pinned links and maps, without an agent: those under `pins`, or under what the
/// configuration names.
fn directly(pins: Option<PathBuf>, config: &Path) -> anyhow::Result<Detached> {
    let is_named = pins.is_some();
    let pins = pins.unwrap_or_else(|| pinned::configured(config));
    let found = pinned::enforcing(&pins);
    let elsewhere = pinned::elsewhere(&pins);
    if found.is_none() && !is_named && !elsewhere.is_empty() {
        bail!(
            "nothing is pinned under {}, but the kernel enforces what is pinned under {}. Name it with \
             --pins",
            pins.display(),
            pinned::named(&elsewhere)
        );
    }
    Pins::new(&pins).remove()?;
    let interfaces = found.map_or_else(Vec::new, |found| found.interfaces);
    Ok(Detached { interfaces })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes("YES\n"));
        assert!(!is_yes("\n") && !is_yes("n\n") && !is_yes("yesterday\n"));
    }

    #[test]
    fn pins_are_removed_without_an_agent() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("manoward");
        let links = root.join("links");
        fs::create_dir_all(&links).unwrap();
        fs::write(links.join("xdp-native-1"), "").unwrap();
        fs::write(links.join("tcx-999999"), "").unwrap();
        let detached = directly(Some(root.clone()), Path::new("agent.yaml")).unwrap();
        assert_eq!(detached.interfaces.len(), 2);
        assert!(
            detached
                .interfaces
                .contains(&"interface 999999 (gone)".to_owned())
        );
        assert!(!root.exists());
    }
}
