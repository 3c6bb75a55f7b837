//! Reads the policy file that a command is given.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::Context as _;
use manoward::signature;
use manoward_api::Candidate;

/// The argument for standard input.
const STDIN: &str = "-";
/// Its name in messages.
const STDIN_NAME: &str = "<stdin>";

/// Reads the policy at `path`, or from standard input.
pub fn read(path: &Path) -> anyhow::Result<Candidate> {
    if path == Path::new(STDIN) {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read a policy from standard input")?;
        return Ok(candidate(text, STDIN_NAME));
    }
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok(Candidate {
        signature: signature::read(&signature::beside(path))?,
        ..candidate(text, &name)
    })
}

/// `candidate` with an absolute path: it is read later, from other working directories.
pub fn to_keep(candidate: &Candidate) -> Candidate {
    let mut kept = candidate.clone();
    if candidate.file != STDIN_NAME
        && let Ok(absolute) = std::path::absolute(&candidate.file)
    {
        kept.file = absolute.display().to_string();
    }
    kept
}

fn candidate(text: String, file: &str) -> Candidate {
    Candidate {
        text,
        file: file.to_owned(),
        ..Candidate::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_to_keep_has_an_absolute_name() {
        let kept = to_keep(&candidate("name: x\n".to_owned(), "p.yaml"));
        assert!(kept.file.starts_with('/'), "{}", kept.file);
        assert!(kept.file.ends_with("/p.yaml"), "{}", kept.file);
        let kept = to_keep(&candidate(String::new(), STDIN_NAME));
        assert_eq!(kept.file, STDIN_NAME);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/policy.yaml")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/policy.yaml"));
    }
}
