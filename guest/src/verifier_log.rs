//! The verifier's log, where it holds statistics alone.

use anyhow::{Context, Result};

/// The statistics in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Instructions that the verifier followed.
    pub followed: u32,
    /// Each function's own stack in bytes, in the order in which they lie in the program.
    pub stack: Vec<u32>,
}

impl Statistics {
    /// Reads the two lines that the kernel ends its log with (`print_verification_stats` in
    /// `kernel/bpf/verifier.c`): `stack depth 208+0+96` and `processed 518033 insns (limit ...`.
    ///
    /// # Errors
    ///
    /// If one is missing, or is not as it was in Linux 5.10 to 6.18.
    pub fn read(log: &str) -> Result<Self> {
        let line = |start: &str| {
            let mut lines = log.lines().rev();
            lines
                .find_map(|line| line.strip_prefix(start))
                .with_context(|| format!("the verifier's log has no line `{start}...`"))
        };
        let followed = line("processed ")?;
        let stack = line("stack depth ")?;
        // Later kernels may print more behind the numbers.
        let stack = stack.split_whitespace().next().unwrap_or_default();
        let number = |text: &str| text.parse().with_context(|| format!("`{text}` in the log"));
        Ok(Self {
            followed: number(followed.split(' ').next().unwrap_or_default())?,
            stack: stack.split('+').map(number).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
verification time 211544 usec
stack depth 208+0+96
processed 518033 insns (limit 1000000) max_states_per_insn 17 total_states 9 peak_states 9 mark_read 9
";

    #[test]
    fn both_lines_are_read() {
        let read = Statistics::read(LOG).unwrap();
        assert_eq!(read.followed, 518_033);
        assert_eq!(read.stack, [208, 0, 96]);
    }

    #[test]
    fn a_program_without_functions_has_one_depth() {
        let read = Statistics::read("stack depth 8\nprocessed 5 insns (limit 9)\n").unwrap();
        assert_eq!(read.stack, [8]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for missing in ["processed ", "stack depth "] {
            let log: String = LOG.replace(missing, "");
            let error = Statistics::read(&log).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
        assert!(Statistics::read("").is_err());
        assert!(Statistics::read("stack depth \nprocessed 5 insns").is_err());
    }
}
