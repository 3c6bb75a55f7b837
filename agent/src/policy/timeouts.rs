//! Idle timeouts of flows.

use std::fmt;

use verdict::state::flow::State;

/// Units of a duration and their seconds, from the smallest; each divides the next.
pub const UNITS: &[(char, u32)] = &[('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];

/// The idle timeout of a flow in each of its states, in seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowTimeouts([u32; State::ALL.len()]);

/// A number of seconds; displayed as in a policy, in the largest unit that gives a whole number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timeout(pub u32);

impl FlowTimeouts {
    /// The idle timeout in `state`, in seconds.
    #[must_use]
    pub fn seconds(&self, state: State) -> u32 {
        self.0[usize::from(state.code())]
    }

    /// Every state and its timeout, in the order of [`State::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (State, Timeout)> {
        let timeouts = self.0.iter().map(|&seconds| Timeout(seconds));
        State::ALL.iter().copied().zip(timeouts)
    }

    pub(super) fn set(&mut self, state: State, timeout: Timeout) {
        self.0[usize::from(state.code())] = timeout.0;
    }
}

impl Default for FlowTimeouts {
    fn default() -> Self {
        let mut timeouts = Self([0; State::ALL.len()]);
        for &state in State::ALL {
            timeouts.set(state, Timeout(state.default_seconds()));
        }
        timeouts
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |&&(_, seconds): &&(char, u32)| self.0.is_multiple_of(seconds);
        let (unit, seconds) = UNITS.iter().rev().find(whole).copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_states() {
        let timeouts = FlowTimeouts::default();
        for &state in State::ALL {
            assert_eq!(timeouts.seconds(state), state.default_seconds());
        }
        assert!(
            timeouts
                .iter()
                .map(|(state, _)| state)
                .eq(State::ALL.iter().copied())
        );
    }

    #[test]
    fn durations_are_shown_in_the_largest_whole_unit() {
        for (seconds, text) in [
            (1, "1s"),
            (60, "1m"),
            (90, "90s"),
            (7_440, "124m"),
            (86_400, "1d"),
            (90_000, "25h"),
            (2_592_000, "30d"),
        ] {
            assert_eq!(Timeout(seconds).to_string(), text);
        }
    }
}
