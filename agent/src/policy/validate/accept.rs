//! Validates which remarks are accepted.

use crate::policy::{
    lint::{Accepted, Code},
    mistake::Mistakes,
    raw::{Named, Text},
    suggest,
};

/// The accepted remarks; each names a code, and may name what the remark is about.
pub(super) fn validate(raw: Named<Option<Text>>, mistakes: &mut Mistakes) -> Vec<Accepted> {
    let mut accepted = Vec::with_capacity(raw.len());
    for (key, reason) in raw {
        let (code, subject) = match key.what.split_once(' ') {
            Some((code, subject)) => (code, Some(subject.trim())),
            None => (&*key.what, None),
        };
        let Some(known) = Code::ALL.iter().find(|known| known.as_str() == code) else {
            mistakes.add(key.at, || {
                let codes = Code::ALL.iter().map(|code| code.as_str());
                let otherwise = "Write the code of a remark, as `manoward policy check` shows it.";
                let remedy = suggest::remedy(code, codes, otherwise);
                (format!("there is no remark `{code}`"), remedy)
            });
            continue;
        };
        if reason.is_some() {
            accepted.push(Accepted {
                code: *known,
                subject: subject.map(str::to_owned),
                at: key.at,
            });
        }
    }
    accepted
}
