//! `manoward detach`

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use manoward::{
    config::DEFAULT_PINS,
    datapath::{Pins, interface::Interfaces},
};
use manoward_api::Detached;

use super::{
    Context, Exit,
    output::{self, Format},
    tone::Tone,
};

/// End enforcement on this host: every packet passes.
///
/// Detaches the programs from all interfaces and removes their maps. A running agent does this, and
/// then stops. If none runs, this command does it itself: the programs outlive the agent. To
/// enforce again, start the agent.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward detach
  sudo manoward detach --yes")]
pub struct Detach {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,

    /// Where the maps and links are pinned; used only if no agent runs
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PINS)]
    pins: PathBuf,
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
        Err(error) if error.is_absent() => directly(&Pins::new(&args.pins)).await?,
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
                "Detached from {interfaces}: every packet passes there."
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

/// Removes the pinned links and maps, without an agent.
async fn directly(pins: &Pins) -> anyhow::Result<Detached> {
    let links = pins.pinned_links()?;
    let host = Interfaces::read().await.ok();
    let name = |index| {
        let known = host.as_ref().and_then(|host| host.get(index));
        known.map_or_else(
            || format!("interface {index} (gone)"),
            |interface| interface.name.clone(),
        )
    };
    let interfaces = links.iter().map(|link| name(link.ifindex)).collect();
    pins.remove()?;
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let detached = runtime.block_on(directly(&Pins::new(&root))).unwrap();
        assert_eq!(detached.interfaces.len(), 2);
        assert!(
            detached
                .interfaces
                .contains(&"interface 999999 (gone)".to_owned())
        );
        assert!(!root.exists());
    }
}
