//! The policy file that a command is about.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use manoward::control::api::Candidate;

/// The argument for standard input.
const STDIN: &str = "-";

/// Reads the policy at `path`, or from standard input.
pub fn read(path: &Path) -> anyhow::Result<Candidate> {
    if path == Path::new(STDIN) {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read a policy from standard input")?;
        return Ok(candidate(text, "<stdin>"));
    }
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok(candidate(text, &name))
}

/// Reads the policy at `path` under its absolute name, as whoever reads it later is elsewhere.
pub fn read_to_keep(path: &Path) -> anyhow::Result<Candidate> {
    let mut candidate = read(path)?;
    if path != Path::new(STDIN) {
        let absolute: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        candidate.file = absolute.display().to_string();
    }
    Ok(candidate)
}

fn candidate(text: String, file: &str) -> Candidate {
    Candidate {
        text,
        file: file.to_owned(),
        force: false,
        session: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_to_keep_has_an_absolute_name() {
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        fs::write(file.path(), "name: x\n").unwrap();
        let relative = Path::new(file.path().file_name().unwrap());
        let candidate = read_to_keep(relative).unwrap();
        assert!(candidate.file.starts_with('/'), "{}", candidate.file);
        assert_eq!(candidate.text, "name: x\n");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/policy.yaml")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/policy.yaml"));
    }
}
