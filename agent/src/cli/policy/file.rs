//! Reads the policy that a command is given.

use std::{
    io::{self, Read as _},
    path::Path,
};

use anyhow::Context as _;
use manoward::{
    files::Owner,
    policy::{
        PolicyError,
        compose::{ComposeError, Composed, Sources, compose},
    },
    signature,
};
use manoward_api::{Candidate, Lint, Mistake, Report};

/// The argument for standard input.
const STDIN: &str = "-";
/// Its name in messages.
const STDIN_NAME: &str = "<stdin>";

/// A policy that was given, and where its parts are written.
#[derive(Debug, Default)]
pub struct Given {
    /// What is sent to the agent.
    pub candidate: Candidate,
    /// Its files.
    pub sources: Sources,
    /// Mistakes for which its files cannot be put together.
    pub broken: Option<Report>,
}

/// Reads the policy at `path` with what lies beside it, or from standard input.
pub fn read(path: &Path) -> anyhow::Result<Given> {
    if path == Path::new(STDIN) {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read a policy from standard input")?;
        return Ok(candidate(text, STDIN_NAME).into());
    }
    let name = path.display().to_string();
    match compose(path, Owner::Anyone) {
        Ok(Composed { text, sources }) => Ok(Given {
            candidate: Candidate {
                signature: signature::read(&signature::beside(path), Owner::Anyone)?,
                ..candidate(text, &name)
            },
            sources,
            broken: None,
        }),
        Err(ComposeError::Mistakes(errors)) => Ok(Given {
            candidate: candidate(String::new(), &name),
            broken: Some(broken(&errors)),
            ..Given::default()
        }),
        Err(error) => Err(error.into()),
    }
}

/// The mistakes of several files.
fn broken(errors: &[PolicyError]) -> Report {
    let mistakes = errors.iter().flat_map(|error| {
        let mistakes = error.mistakes().iter().cloned();
        mistakes.map(|mistake| Mistake {
            file: Some(error.file().to_owned()),
            ..mistake.into()
        })
    });
    let mistakes: Vec<Mistake> = mistakes.collect();
    Report {
        mistake_count: mistakes.len() + errors.iter().map(PolicyError::more).sum::<usize>(),
        mistakes,
        valid: false,
        lints: Vec::new(),
        apply_refuses: Vec::new(),
    }
}

impl From<Candidate> for Given {
    fn from(candidate: Candidate) -> Self {
        Self {
            candidate,
            ..Self::default()
        }
    }
}

impl Given {
    /// `report` with the positions in the files of the policy, in place of those in its effective text.
    pub fn located(&self, mut report: Report) -> Report {
        if !self.sources.are_several() {
            return report;
        }
        for mistake in &mut report.mistakes {
            let (file, located) = self.sources.locate(mistake.clone().into());
            *mistake = Mistake {
                file: file.map(str::to_owned),
                ..located.into()
            };
        }
        for lint in &mut report.lints {
            self.locate(lint);
        }
        report
    }

    fn locate(&self, remark: &mut Lint) {
        let (Some(line), Some(column)) = (remark.line, remark.column) else {
            return;
        };
        if let Some((file, at)) = self.sources.of(line, column) {
            remark.file = Some(file.to_owned());
            remark.line = Some(at.line);
            remark.column = Some(at.column);
        }
        remark.message = self.sources.with_files(&remark.message);
    }
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
