//! The kernel object of an earlier revision, built as this tree's is, by the same compiler.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{process, progress, setup, workspace};

/// The source line with the layout version of maps and images, as an extended regular expression.
const LAYOUT: &str = "const LAYOUT_VERSION: u[0-9]+ = [0-9]+";

/// An earlier revision, built.
pub struct Earlier {
    /// Its commit, in short.
    pub commit: String,
    /// Its kernel object.
    pub object: PathBuf,
}

impl Earlier {
    /// Builds a revision, as git knows it. Fails if it cannot read the maps of this tree.
    pub fn build(revision: &str) -> Result<Self> {
        let name = format!("{revision}^{{commit}}");
        let commit = git(&["rev-parse", "--verify", "--end-of-options", &name])
            .with_context(|| format!("{revision} is neither a revision of git nor a .json file"))?;
        check_layout(revision, &commit)?;
        let folder = workspace::target_dir().join("compare");
        let tree = folder.join("tree");
        let object = Tree::check_out(&commit, &tree)
            .and_then(|tree| tree.compile(&folder))
            .with_context(|| format!("building the kernel object of {revision}"))?;
        let commit = git(&["rev-parse", "--short", &commit])?;
        Ok(Self { commit, object })
    }
}

/// A checked-out revision, which is removed when this is dropped.
struct Tree<'a>(&'a Path);

impl<'a> Tree<'a> {
    fn check_out(commit: &str, path: &'a Path) -> Result<Self> {
        // An interrupted run leaves its tree behind.
        remove(path);
        let text = path.to_str().context("the target folder's name")?;
        git(&["worktree", "add", "--force", "--detach", text, commit])?;
        Ok(Self(path))
    }

    /// Builds its kernel object in `folder`, apart from this tree's.
    fn compile(&self, folder: &Path) -> Result<PathBuf> {
        let target = folder.join("target");
        let (toolchain, machine) = setup::toolchain()?;
        let mut command = toolchain.cargo_in(&machine, "build", &self.0.join("ebpf"), &target)?;
        let command = command.args(["--release", "--bin", "manoward"]);
        progress::run("kernel object of the earlier revision", command)?;
        Ok(workspace::ebpf_built_in(&target, "manoward"))
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        remove(self.0);
    }
}

/// Removes a checked-out revision, if there is one.
fn remove(tree: &Path) {
    let mut command = process::command("git");
    command.args(["worktree", "remove", "--force"]).arg(tree);
    if process::ask(&mut command).is_none() && tree.exists() {
        // Git does not know it. What remains only takes space.
        let _ = fs::remove_dir_all(tree);
    }
}

/// Fails if the revision has another layout version, as both programs use the same maps.
fn check_layout(revision: &str, commit: &str) -> Result<()> {
    let of = |args: &[&str]| {
        let search = ["grep", "-hoE"];
        let found = git(&[&search, args, &["--", "*.rs"]].concat())?;
        let version = found.rsplit(' ').next().map(str::to_owned);
        version.context("no layout version")
    };
    let earlier = of(&[LAYOUT, commit])
        .with_context(|| format!("looking for the layout version of {revision}"))?;
    let now = of(&["--untracked", LAYOUT]).context("looking for this tree's layout version")?;
    ensure!(
        earlier == now,
        "{revision} has maps of layout version {earlier}, and this tree of version {now}: the \
        programs cannot share them. Compare results instead: run `cargo xtask bench --json \
         base.json` there, and `--compare base.json` here"
    );
    Ok(())
}

/// What git answers.
fn git(args: &[&str]) -> Result<String> {
    let mut command = process::command("git");
    let output = command.args(args).output().context("starting git")?;
    ensure!(
        output.status.success(),
        "`{}`: {}",
        process::show(&command),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
