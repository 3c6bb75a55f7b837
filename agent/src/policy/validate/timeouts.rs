//! Validates timeouts of flows: states must exist, and durations have a unit.

use verdict::state::flow::State;

use crate::policy::{
    limits,
    mistake::Mistakes,
    positions::{Object, Positions},
    raw::{Named, Text},
    suggest,
    timeouts::{FlowTimeouts, Timeout, UNITS},
};

/// Validates the timeouts; a state that is not written keeps its default.
pub(super) fn validate(
    raw: Named<Option<Text>>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> FlowTimeouts {
    let mut timeouts = FlowTimeouts::default();
    for (name, text) in raw {
        let state = state(&name, mistakes);
        let timeout = text.and_then(|text| timeout(&text, mistakes));
        if let (Some(state), Some(timeout)) = (state, timeout) {
            positions.note(Object::FlowTimeout, state.name(), name.at);
            timeouts.set(state, timeout);
        }
    }
    timeouts
}

fn state(name: &Text, mistakes: &mut Mistakes) -> Option<State> {
    let state = State::from_name(&name.what);
    if state.is_none() {
        mistakes.add(name.at, || {
            let names: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
            let otherwise = format!("Write one of `{}`.", names.join("`, `"));
            (
                format!("`{}` is not a state of a flow", name.what),
                suggest::remedy(&name.what, names, &otherwise),
            )
        });
    }
    state
}

/// A duration within [`limits::TIMEOUT_SECONDS`].
fn timeout(text: &Text, mistakes: &mut Mistakes) -> Option<Timeout> {
    let word = &*text.what;
    let Some(seconds) = seconds(word) else {
        mistakes.add(text.at, || describe(word));
        return None;
    };
    let timeout = u32::try_from(seconds)
        .ok()
        .filter(|seconds| limits::TIMEOUT_SECONDS.contains(seconds));
    if timeout.is_none() {
        mistakes.add(text.at, || {
            let remedy = format!(
                "Write a duration from {} to {}.",
                Timeout(*limits::TIMEOUT_SECONDS.start()),
                Timeout(*limits::TIMEOUT_SECONDS.end())
            );
            (format!("the timeout `{word}` is out of range"), remedy)
        });
    }
    timeout.map(Timeout)
}

/// Parses a whole number with its unit into seconds; saturates at `u64::MAX`.
fn seconds(word: &str) -> Option<u64> {
    let unit = word.chars().next_back()?;
    let &(_, seconds) = UNITS.iter().find(|&&(letter, _)| letter == unit)?;
    let number = word.strip_suffix(unit)?;
    is_decimal(number).then(|| {
        let number = number.parse().unwrap_or(u64::MAX);
        number.saturating_mul(u64::from(seconds))
    })
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn describe(word: &str) -> (String, String) {
    if is_decimal(word) {
        let remedy = format!("Write `{word}s` if seconds are meant; `m`, `h` and `d` exist, too.");
        return (format!("the timeout `{word}` has no unit"), remedy);
    }
    let remedy = "Write a whole number and its unit, `s`, `m`, `h` or `d`: for example `90s` or \
                  `5d`.";
    (format!("`{word}` is not a duration"), remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_one_unit() {
        for (text, expected) in [
            ("0s", 0),
            ("30s", 30),
            ("124m", 7_440),
            ("2h", 7_200),
            ("5d", 432_000),
            ("99999999999999999999s", u64::MAX),
            ("18446744073709551615d", u64::MAX),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in [
            "", "s", "30", "1.5h", "-1s", "+1s", "1h30m", "5 d", "5D", "5ms", "5é",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
