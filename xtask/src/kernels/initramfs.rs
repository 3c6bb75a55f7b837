//! The file system that a machine boots from: the first process, the agent, the tests, the programs
//! and libraries that they need, and the kernel's modules.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::download::Kernel;
use crate::process;

/// Modules that are loaded first, with their dependencies.
const MODULES: [&str; 9] = [
    "virtio_pci",
    "virtio_net",
    "e1000e",
    "bonding",
    "8021q",
    "bridge",
    "veth",
    "sch_ingress",
    "cls_bpf",
];

/// Programs of this machine's that the harness calls.
const PROGRAMS: [&str; 3] = ["ip", "ethtool", "setpriv"];

/// Applets of busybox.
const APPLETS: [&str; 3] = ["sh", "cat", "ping"];

/// The workspace's binaries.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The first process.
    pub guest: PathBuf,
    /// The agent.
    pub agent: PathBuf,
    /// Test binaries, each with its name.
    pub tests: Vec<(String, PathBuf)>,
}

/// Packs everything into an archive under `folder`.
pub fn pack(kernel: &Kernel, binaries: &Binaries, folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).context("removing the former file system")?;
    }
    for name in [
        "bin", "tests", "modules", "proc", "sys", "dev", "tmp", "run", "etc", "root",
    ] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    own(binaries, &root)?;
    programs(&root)?;
    modules(kernel, &root)?;
    archive(&root, &folder.join("initramfs.cpio"))
}

fn own(binaries: &Binaries, root: &Path) -> Result<()> {
    let tests = binaries.tests.iter();
    let tests = tests.map(|(name, path)| (path, root.join("tests").join(name)));
    let ours = [
        (&binaries.guest, root.join("init")),
        (&binaries.agent, root.join("bin/manoward")),
    ];
    for (from, to) in ours.into_iter().chain(tests) {
        let mut strip = process::command("strip");
        strip.arg("-o").arg(&to).arg(from);
        process::run(&mut strip)?;
        libraries(from, root)?;
    }
    Ok(())
}

fn programs(root: &Path) -> Result<()> {
    for name in PROGRAMS {
        let path = process::find(name).with_context(|| format!("{name} is missing"))?;
        copy(&path, &root.join("bin").join(name))?;
        libraries(&path, root)?;
    }
    let busybox = process::find("busybox").context("busybox is missing")?;
    copy(&busybox, &root.join("bin/busybox"))?;
    libraries(&busybox, root)?;
    for name in APPLETS {
        symlink("busybox", root.join("bin").join(name)).context("naming an applet")?;
    }
    Ok(())
}

/// Copies the libraries of a program to where it looks for them.
fn libraries(program: &Path, root: &Path) -> Result<()> {
    let text = process::ask(process::command("ldd").arg(program)).unwrap_or_default();
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(path), &root.join(path.trim_start_matches('/')))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    let folder = to.parent().context("a file without a folder")?;
    fs::create_dir_all(folder)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

/// Copies the modules, unpacked, and writes their order into a file.
fn modules(kernel: &Kernel, root: &Path) -> Result<()> {
    let folder = kernel.root.join("lib/modules").join(&kernel.release);
    let read = |name: &str| {
        fs::read_to_string(folder.join(name)).with_context(|| format!("reading {name}"))
    };
    let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let mut order = String::new();
    let mut seen = BTreeSet::new();
    for path in sequence(&dependencies, &builtin)? {
        let name = stem(path).to_owned() + ".ko";
        if seen.insert(name.clone()) {
            unpack(&folder.join(path), &root.join("modules").join(&name))?;
            order.push_str(&name);
            order.push('\n');
        }
    }
    fs::write(root.join("modules/order"), order).context("writing the order of modules")
}

/// Paths of [`MODULES`] and their dependencies, dependencies first. Modules that are built into the
/// kernel have no path.
fn sequence<'a>(dependencies: &'a str, builtin: &str) -> Result<Vec<&'a str>> {
    let mut paths = Vec::new();
    for module in MODULES {
        let line = dependencies.lines().find_map(|line| {
            let (path, needs) = line.split_once(':')?;
            (stem(path) == module).then_some((path, needs))
        });
        match line {
            // depmod lists first what is loaded last.
            Some((path, needs)) => {
                paths.extend(needs.split_whitespace().rev());
                paths.push(path);
            }
            None if builtin.lines().any(|path| stem(path) == module) => {}
            None => bail!("the kernel has no module {module}"),
        }
    }
    Ok(paths)
}

/// A module's name, from its path.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

fn unpack(from: &Path, to: &Path) -> Result<()> {
    if from.extension().is_none_or(|it| it != "xz") {
        return copy(from, to);
    }
    let mut xz = process::command("xz");
    xz.args(["-dc"]).arg(from).stdout(File::create(to)?);
    process::run(&mut xz)
}

fn archive(root: &Path, to: &Path) -> Result<PathBuf> {
    let mut find = process::command("find");
    find.arg(".").current_dir(root).stdout(Stdio::piped());
    let mut find = find.spawn().context("starting find")?;
    let names = find.stdout.take().context("find has no output")?;
    let mut cpio = process::command("cpio");
    cpio.args(["--quiet", "-o", "-H", "newc"]).current_dir(root);
    cpio.stdin(names).stdout(File::create(to)?);
    process::run(&mut cpio)?;
    ensure!(find.wait()?.success(), "listing {} failed", root.display());
    Ok(to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_before_a_module() {
        let names = MODULES
            .iter()
            .skip(1)
            .map(|name| format!("kernel/{name}.ko:\n"));
        let list: String = names.collect();
        let list = format!("{list}kernel/virtio_pci.ko.xz: kernel/b.ko.xz kernel/a.ko.xz\n");
        let paths = sequence(&list, "").unwrap();
        assert_eq!(
            paths[..3],
            [
                "kernel/a.ko.xz",
                "kernel/b.ko.xz",
                "kernel/virtio_pci.ko.xz"
            ]
        );
        assert!(sequence("", "").is_err());
    }
}
