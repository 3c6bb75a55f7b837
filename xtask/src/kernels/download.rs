//! Debian's kernels, downloaded as packages by apt with separate lists, so that the machine's
//! sources stay unchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, progress};

/// Where Debian's packages are.
const ARCHIVE: &str = "http://deb.debian.org/debian";

/// The keyring that verifies Debian's lists; Debian and its derivatives have it.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel that Debian has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its major and minor version.
    pub version: &'static str,
    /// The suite that has it.
    pub suite: &'static str,
}

/// The kernels that are tested, oldest first.
pub const RELEASES: [Release; 3] = [
    Release {
        version: "5.10",
        suite: "bullseye",
    },
    Release {
        version: "6.1",
        suite: "bookworm",
    },
    Release {
        version: "6.12",
        suite: "trixie",
    },
];

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The image that boots.
    pub image: PathBuf,
    /// The full release, as in `uname -r`.
    pub release: String,
    /// The folder that holds `lib/modules`.
    pub root: PathBuf,
}

/// The kernel under `folder`, downloaded if it is missing.
pub fn provide(release: Release, folder: &Path) -> Result<Kernel> {
    let root = folder.join("unpacked");
    let kernel = match find(&root) {
        Ok(kernel) => kernel,
        Err(_) => fetch(release, folder, &root)?,
    };
    let order = root
        .join("lib/modules")
        .join(&kernel.release)
        .join("modules.dep");
    if !order.is_file() {
        let mut depmod = process::command(process::find("depmod").context("depmod is missing")?);
        depmod.arg("-b").arg(&root).arg(&kernel.release);
        progress::run("order of the modules", &mut depmod)?;
    }
    Ok(kernel)
}

/// Downloads the package and unpacks it under `root`.
fn fetch(release: Release, folder: &Path, root: &Path) -> Result<Kernel> {
    for lists in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(lists)).with_context(|| format!("making {lists}"))?;
    }
    let sources = format!(
        "deb [signed-by={KEYRING}] {ARCHIVE} {} main\n",
        release.suite
    );
    fs::write(folder.join("sources.list"), sources).context("writing sources.list")?;
    let label = format!("lists of Debian {}", release.suite);
    let mut update = apt("apt-get", folder);
    update.args(["update", "-o", "APT::Update::Error-Mode=any"]);
    progress::run(&label, &mut update).with_context(|| unreachable(release))?;
    let package = package(folder)?;
    let mut download = apt("apt-get", folder);
    download.args(["download", &package]).current_dir(folder);
    progress::run(&format!("download {package}"), &mut download)
        .with_context(|| unreachable(release))?;
    let archive = fs::read_dir(folder)
        .context("listing what was downloaded")?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|it| it == "deb"))
        .context("apt-get downloaded nothing")?;
    let mut unpack = process::command("dpkg");
    unpack.arg("-x").arg(&archive).arg(root);
    progress::run(&format!("unpack {package}"), &mut unpack)?;
    fs::remove_file(archive).context("removing the package")?;
    find(root)
}

fn unreachable(release: Release) -> String {
    format!(
        "Linux {} has to be downloaded once, and {ARCHIVE} cannot be reached",
        release.version
    )
}

/// apt with sources, lists and cache under `folder`.
fn apt(program: &str, folder: &Path) -> Command {
    let mut command = process::command(program);
    let folder = folder.display();
    for option in [
        format!("Dir::Etc::sourcelist={folder}/sources.list"),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::lists={folder}/lists"),
        format!("Dir::Cache={folder}/cache"),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ] {
        command.args(["-o", &option]);
    }
    command
}

/// The package that `linux-image-amd64` stands for in the suite.
fn package(folder: &Path) -> Result<String> {
    let mut show = apt("apt-cache", folder);
    show.args(["show", "--no-all-versions", "linux-image-amd64"]);
    let text = process::ask(&mut show).context("the suite has no linux-image-amd64")?;
    named(&text).context("linux-image-amd64 depends on no kernel")
}

fn named(text: &str) -> Option<String> {
    let depends = text
        .lines()
        .find_map(|line| line.strip_prefix("Depends: "))?;
    let package = depends.split([' ', ',']).next()?;
    package
        .starts_with("linux-image-")
        .then(|| package.to_owned())
}

fn find(root: &Path) -> Result<Kernel> {
    // Newer suites have everything under /usr; the tools look under /lib.
    if root.join("usr/lib/modules").is_dir() && !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).context("linking lib")?;
    }
    let modules = root.join("lib/modules");
    let entry = fs::read_dir(&modules)
        .with_context(|| format!("listing {}", modules.display()))?
        .flatten()
        .next();
    let release = entry.context("the package has no modules")?.file_name();
    let release = release.to_string_lossy().into_owned();
    let image = root.join(format!("boot/vmlinuz-{release}"));
    ensure!(image.is_file(), "{} does not exist", image.display());
    Ok(Kernel {
        image,
        release,
        root: root.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_behind_the_metapackage_is_found() {
        let text =
            "Package: linux-image-amd64\nDepends: linux-image-6.1.0-50-amd64 (= 6.1.176-1)\n";
        assert_eq!(named(text).as_deref(), Some("linux-image-6.1.0-50-amd64"));
        assert_eq!(named("Depends: libc6\n"), None);
    }
}
