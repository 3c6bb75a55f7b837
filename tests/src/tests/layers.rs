//! The groups of the harness import each other in one direction only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The groups; each may import from those before it.
const GROUPS: [&str; 6] = ["machine", "net", "programs", "scene", "agent", "judge"];

/// All sources of a group.
fn sources(of: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = vec![of.with_extension("rs")];
    let mut folders = vec![of.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push(path);
            }
        }
    }
    Ok(sources)
}

/// The groups that a source imports: the first segment of each `crate::` path.
fn imported(source: &str) -> Vec<&str> {
    let paths = source.split("crate::").skip(1);
    paths
        .filter_map(|path| {
            path.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}

#[test]
fn a_group_imports_only_from_those_before_it() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (index, group) in GROUPS.iter().enumerate() {
        for path in sources(&root.join(group))? {
            for name in imported(&fs::read_to_string(&path)?) {
                ensure!(
                    GROUPS[..=index].contains(&name),
                    "{} imports crate::{name}; {group} may import from {:?}",
                    path.display(),
                    &GROUPS[..=index]
                );
            }
        }
    }
    Ok(())
}
