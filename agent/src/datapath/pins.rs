//! The pins of maps and links on a BPF file system.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::programs::SchedClassifier;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use thiserror::Error;
use verdict::layout::LAYOUT_VERSION;

use super::{HookMode, Program, clsact, interface::name_of};

const LAYOUT_PREFIX: &str = "layout-";
/// Directory of the links of the inner door.
const DOOR: &str = "door";
/// Directory of what a candidate needs.
const SHADOW: &str = "shadow";

/// Why pins cannot be used.
#[derive(Debug, Error)]
pub enum PinError {
    /// The directory is on another kind of file system.
    #[error(
        "{path} is not on a BPF file system, so nothing pinned there would outlive the agent. Mount one (`mount -t bpf bpf /sys/fs/bpf`) or set `pins` in agent.yaml to a directory on one"
    )]
    NotBpf {
        /// The directory.
        path: PathBuf,
    },
    /// Maps of another layout version are pinned here.
    #[error(
        "{path} holds the maps of layout version {found}; this manoward has version {LAYOUT_VERSION} and will not guess at their contents. Start the manoward that pinned them, or remove its enforcement with `manoward detach --pins {path}` and start this one"
    )]
    OtherLayout {
        /// The directory.
        path: PathBuf,
        /// Version of what is pinned there.
        found: String,
    },
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// The directory of pins.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

/// A pinned link: its mode and its interface.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LinkPin {
    /// How the program is attached.
    pub mode: HookMode,
    /// Index of the interface.
    pub ifindex: u32,
}

impl Pins {
    /// Pins under `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the directories, and checks that they can be used.
    pub fn prepare(&self) -> Result<(), PinError> {
        let existing = self
            .root
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or(Path::new("/"));
        let status = statfs(existing)
            .map_err(|error| failed("examine", existing, io::Error::from(error)))?;
        if status.filesystem_type() != BPF_FS_MAGIC {
            return Err(PinError::NotBpf {
                path: self.root.clone(),
            });
        }
        self.check_layout()?;
        for directory in [self.maps(), self.links(), self.root.join(DOOR)] {
            fs::create_dir_all(&directory)
                .map_err(|source| failed("create", &directory, source))?;
        }
        Ok(())
    }

    /// Refuses maps of another layout version.
    fn check_layout(&self) -> Result<(), PinError> {
        for entry in entries(&self.root)? {
            if let Some(version) = entry.strip_prefix(LAYOUT_PREFIX)
                && version != LAYOUT_VERSION.to_string()
            {
                let found = version.to_owned();
                return Err(PinError::OtherLayout {
                    path: self.root.clone(),
                    found,
                });
            }
        }
        Ok(())
    }

    /// Those of a candidate that judges beside what is pinned here.
    #[must_use]
    pub fn of_shadow(&self) -> Self {
        Self {
            root: self.root.join(SHADOW),
        }
    }

    /// Whether there are pins here.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.links().is_dir()
    }

    fn maps(&self) -> PathBuf {
        self.root.join(format!("{LAYOUT_PREFIX}{LAYOUT_VERSION}"))
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Path of the map `name`; without its dot, which a BPF file system does not allow in names.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name.trim_start_matches('.'))
    }

    /// Path of a link.
    #[must_use]
    pub fn link(&self, pin: LinkPin) -> PathBuf {
        self.links()
            .join(format!("{}-{}", pin.mode.name(), pin.ifindex))
    }

    /// Path of the link of a program of the inner door.
    #[must_use]
    pub fn door(&self, program: Program) -> PathBuf {
        self.root.join(DOOR).join(program.name())
    }

    /// Detaches the inner door.
    pub fn remove_door(&self) -> Result<(), PinError> {
        let directory = self.root.join(DOOR);
        for name in entries(&directory)? {
            let path = directory.join(name);
            fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
        }
        Ok(())
    }

    /// The links that are pinned.
    pub fn pinned_links(&self) -> Result<Vec<LinkPin>, PinError> {
        let mut pins: Vec<LinkPin> = entries(&self.links())?
            .iter()
            .filter_map(|name| {
                let (mode, ifindex) = name.rsplit_once('-')?;
                Some(LinkPin {
                    mode: HookMode::from_name(mode)?,
                    ifindex: ifindex.parse().ok()?,
                })
            })
            .collect();
        pins.sort_unstable();
        Ok(pins)
    }

    /// Detaches the program of this link and removes its pin.
    pub fn release(&self, pin: LinkPin) -> io::Result<()> {
        if let Some(direction) = pin.mode.clsact_direction()
            && let Some(name) = name_of(pin.ifindex)
            && let Some(program) = pinned_program(&self.link(pin))
        {
            clsact::detach(&name, direction, program)?;
        }
        fs::remove_file(self.link(pin))
    }

    /// Removes every pin, of any layout version: links first, so that nothing runs without maps.
    pub fn remove(&self) -> Result<(), PinError> {
        for pin in self.pinned_links()? {
            self.release(pin)
                .map_err(|source| failed("remove", &self.link(pin), source))?;
        }
        remove_directory(&self.links())?;
        remove_directory(&self.root.join(DOOR))?;
        let shadow = self.of_shadow();
        if shadow.root.exists() {
            shadow.remove()?;
        }
        for name in entries(&self.root)? {
            if name.starts_with(LAYOUT_PREFIX) {
                remove_directory(&self.root.join(name))?;
            }
        }
        match fs::remove_dir(&self.root) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &self.root, source))
            }
            _ => Ok(()),
        }
    }
}

/// Id of the classifier that is pinned at `path`.
pub(super) fn pinned_program(path: &Path) -> Option<u32> {
    let program = SchedClassifier::from_pin(path).ok()?;
    Some(program.info().ok()?.id())
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> PinError {
    PinError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Names in `directory`; none if it does not exist.
fn entries(directory: &Path) -> Result<Vec<String>, PinError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", directory, source)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()
        .map_err(|source| failed("list", directory, source))
}

fn remove_directory(directory: &Path) -> Result<(), PinError> {
    for name in entries(directory)? {
        let path = directory.join(name);
        fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
    }
    match fs::remove_dir(directory) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", directory, source))
        }
        _ => Ok(()),
    }
}
