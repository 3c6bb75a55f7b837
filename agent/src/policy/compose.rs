//! A policy of several files.
//!
//! Beside `policy.yaml` may lie a folder `policy.d`, whose files are merged into the policy by name, and
//! `facts.yaml`, which says what `$(NAME)` stands for on this host. They are put together into one text,
//! the *effective* policy: that is what is checked, signed, applied and kept. [`Sources`] tells where each
//! part of it was written. A policy of one file without variables is its own effective policy.

mod emit;
mod tree;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use self::tree::{Facts, Tree};
use super::{
    excerpt::Excerpt,
    mistake::{Mistake, Mistakes, PolicyError},
    positions::At,
    yaml,
};
use crate::files::{self, Owner};

/// Name of the file of host facts.
const FACTS: &str = "facts.yaml";

/// Endings of policy files.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// Why a policy cannot be put together.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files have mistakes.
    #[error("{}", .0.iter().flat_map(PolicyError::lines).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<PolicyError>),
}

/// A policy put together from its files.
#[derive(Debug)]
pub struct Composed {
    /// The effective policy.
    pub text: String,
    /// Where it was written.
    pub sources: Sources,
}

/// The files of a policy, and which part of the effective one was written where.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Excerpt>,
    /// In the order of the effective policy; empty if that is the first file.
    origins: Vec<Origin>,
    annotated: Option<String>,
}

/// Where a part of the effective policy was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Origin {
    /// Line and column of the effective policy.
    effective: (u32, u32),
    from: From,
}

/// A position in one of several files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct From {
    file: u16,
    at: At,
}

/// Puts the policy at `path` together, from files of the `owner`.
///
/// # Errors
///
/// [`ComposeError`] with the mistakes of all files.
pub fn compose(path: &Path, owner: Owner) -> Result<Composed, ComposeError> {
    let text = read(path, owner)?;
    let drop_ins = drop_ins(path)?;
    if drop_ins.is_empty() && !text.contains("$(") {
        let sources = Sources {
            files: vec![Excerpt::new(&path.display().to_string(), &text)],
            ..Sources::default()
        };
        return Ok(Composed { text, sources });
    }
    let mut texts = vec![(path.to_owned(), text)];
    for path in drop_ins {
        let text = read(&path, owner)?;
        texts.push((path, text));
    }
    let facts = path.with_file_name(FACTS);
    let facts = match files::read_text(&facts, files::SETTINGS, owner) {
        Ok(text) => Some((facts, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(ComposeError::Read {
                path: facts,
                source,
            });
        }
    };
    merge(texts, facts).map_err(ComposeError::Mistakes)
}

/// The files in the folder beside the policy at `path`, in the order of their names.
fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, ComposeError> {
    let folder = path.with_extension("d");
    let failed = |source| ComposeError::Read {
        path: folder.clone(),
        source,
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !hidden && ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, owner: Owner) -> Result<String, ComposeError> {
    let text =
        files::read_text(path, files::POLICY, owner).map_err(|source| ComposeError::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map_or(text.clone(), str::to_owned))
}

/// Merges the files of these texts in their order; `facts` say what variables stand for.
fn merge(
    texts: Vec<(PathBuf, String)>,
    facts: Option<(PathBuf, String)>,
) -> Result<Composed, Vec<PolicyError>> {
    let policies = texts.len();
    let files: Vec<(String, String)> = texts
        .into_iter()
        .chain(facts)
        .map(|(path, text)| (path.display().to_string(), text))
        .collect();
    let mut mistakes: Vec<Mistakes> = files.iter().map(|_| Mistakes::default()).collect();
    let mut roots = Vec::new();
    for ((_, text), mistakes) in files.iter().zip(&mut mistakes) {
        match yaml::parse(text, mistakes) {
            Ok(root) => roots.push(Some(root)),
            Err(broken) => {
                *mistakes = Mistakes::default();
                mistakes.add(broken.at, || (broken.message, broken.remedy));
                roots.push(None);
            }
        }
    }
    let known = match roots.get_mut(policies).and_then(Option::take) {
        Some(root) => Facts::of(root, policies as u16, &mut mistakes[policies]),
        None => Facts::default(),
    };
    let mut whole: Option<Tree> = None;
    for (file, root) in (0..).zip(roots.into_iter().take(policies)) {
        let Some(root) = root else { continue };
        let tree = Tree::of(root, file, &known, &mut mistakes[usize::from(file)]);
        whole = Some(match whole {
            None => tree,
            Some(before) => before.merged(tree, 0),
        });
    }
    if mistakes.iter().any(|mistakes| !mistakes.is_empty()) {
        let each = files.iter().zip(mistakes);
        let wrong = each.filter(|(_, mistakes)| !mistakes.is_empty());
        return Err(wrong
            .map(|((name, text), mistakes)| PolicyError::new(name, text, mistakes))
            .collect());
    }
    let mut sources = Sources {
        files: files
            .iter()
            .map(|(name, text)| Excerpt::new(name, text))
            .collect(),
        ..Sources::default()
    };
    let whole = whole.unwrap_or_default();
    sources.annotated = Some(emit::text(&whole, Some(&sources)).0);
    let (text, origins) = emit::text(&whole, None);
    sources.origins = origins;
    Ok(Composed { text, sources })
}

impl Sources {
    /// The effective policy with the places where its parts were written; `None` if it is one file.
    #[must_use]
    pub fn annotated(&self) -> Option<&str> {
        self.annotated.as_deref()
    }

    /// Whether there is more than one file.
    #[must_use]
    pub fn are_several(&self) -> bool {
        !self.origins.is_empty()
    }

    /// The file and the position where the part at this position of the effective policy was written.
    #[must_use]
    pub fn of(&self, line: u32, column: u32) -> Option<(&str, At)> {
        let after = self
            .origins
            .partition_point(|origin| origin.effective <= (line, column));
        let origin = self.origins.get(after.saturating_sub(1))?;
        let file = self.files.get(usize::from(origin.from.file))?;
        Some((file.file(), origin.from.at))
    }

    /// `mistake` of the effective policy where it was written, and in which file.
    #[must_use]
    pub fn locate(&self, mistake: Mistake) -> (Option<&str>, Mistake) {
        let Some((name, at)) = self.of(mistake.line, mistake.column) else {
            return (None, mistake);
        };
        let file = self.files.iter().find(|file| file.file() == name);
        let located = Mistake {
            line: at.line,
            column: at.column,
            span: file.map_or(0..0, |file| file.bytes(at)),
            message: self.with_files(&mistake.message),
            remedy: self.with_files(&mistake.remedy),
        };
        (Some(name), located)
    }

    /// One line for each mistake of the effective policy, where it was written.
    #[must_use]
    pub fn lines(&self, error: &PolicyError) -> Vec<String> {
        if !self.are_several() {
            return error.lines().collect();
        }
        let located = error.mistakes().iter().map(|mistake| {
            let (file, mistake) = self.locate(mistake.clone());
            mistake.in_line(file.unwrap_or(error.file()))
        });
        located.collect()
    }

    /// `sentence` with every `line N` of the effective policy as `FILE:LINE`.
    #[must_use]
    pub fn with_files(&self, sentence: &str) -> String {
        let mut words: Vec<String> = sentence.split(' ').map(str::to_owned).collect();
        let mut in_lines = false;
        for at in 0..words.len() {
            let before = at.checked_sub(1).map(|before| words[before].clone());
            in_lines = match before.as_deref() {
                Some(word) if word.ends_with("line") || word.ends_with("lines") => true,
                Some("and") => in_lines,
                _ => in_lines && words[at] == "and",
            };
            let digits: String = words[at].chars().take_while(char::is_ascii_digit).collect();
            if let (true, Ok(line)) = (in_lines, digits.parse())
                && let Some((file, place)) = self.of(line, u32::MAX)
            {
                let rest = words[at][digits.len()..].to_owned();
                words[at] = format!("{} of {file}{rest}", place.line);
            }
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests;
