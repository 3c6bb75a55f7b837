//! What a program costs the kernel's verifier, and how much it may cost.

use serde::{Deserialize, Serialize};

/// Most instructions that the verifier may follow for one program. It gives up at 1,000,000; the
/// rest is reserved for later features, and for verifiers that follow more than those of today.
pub const INSTRUCTIONS: u32 = 700_000;

/// Most bytes of stack along a chain of calls. The verifier refuses more than 512
/// (`MAX_BPF_STACK`); the rest is for a value that another compiler may keep on the stack.
pub const STACK: u32 = 480;

/// The verifier's cost of a program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The program's name in the kernel object.
    pub program: String,
    /// Instructions that the verifier followed; one is counted each time it is reached.
    pub followed: u32,
    /// The chain of calls that takes the most stack.
    pub deepest: Chain,
    /// The program itself and the functions that it calls, in the order in which they lie in it.
    pub functions: Vec<Function>,
}

/// A chain of calls.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// Stack of all its functions in bytes, each rounded up as the kernel does.
    pub stack: u32,
    /// Its functions' names, the program itself first.
    pub functions: Vec<String>,
}

/// A function of a program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// How many instructions it has.
    pub instructions: u32,
    /// Its own stack in bytes.
    pub stack: u32,
}

impl Cost {
    /// How many instructions the program has, with all its functions.
    #[must_use]
    pub fn instructions(&self) -> u32 {
        self.functions.iter().map(|it| it.instructions).sum()
    }

    /// How much of [`INSTRUCTIONS`] is taken, in per cent, rounded up: 101 is too much.
    #[must_use]
    pub const fn percent(&self) -> u32 {
        (self.followed * 100).div_ceil(INSTRUCTIONS)
    }

    /// The cost in short.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self {
            followed, deepest, ..
        } = self;
        let stack = deepest.stack;
        format!("{followed} instructions followed, {stack} bytes of stack")
    }

    /// What exceeds the budget, if anything does.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        let Self {
            followed, deepest, ..
        } = self;
        let mut excess = Vec::new();
        if *followed > INSTRUCTIONS {
            excess.push(format!(
                "{followed} instructions followed, the budget is {INSTRUCTIONS}"
            ));
        }
        if deepest.stack > STACK {
            let chain = deepest.functions.join(" > ");
            let stack = deepest.stack;
            excess.push(format!(
                "{stack} bytes of stack in {chain}, the budget is {STACK}"
            ));
        }
        (!excess.is_empty()).then(|| excess.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(followed: u32, stack: u32) -> Cost {
        let function = |name: &str, instructions| Function {
            name: name.to_owned(),
            instructions,
            stack,
        };
        Cost {
            program: "p".to_owned(),
            followed,
            deepest: Chain {
                stack,
                functions: vec!["p".to_owned(), "f".to_owned()],
            },
            functions: vec![function("p", 2), function("f", 3)],
        }
    }

    #[test]
    fn a_budget_may_be_used_up_and_not_exceeded() {
        assert_eq!(cost(INSTRUCTIONS, STACK).excess(), None);
        let excess = cost(INSTRUCTIONS + 1, STACK).excess().unwrap();
        assert_eq!(excess, "700001 instructions followed, the budget is 700000");
        let excess = cost(INSTRUCTIONS, STACK + 16).excess().unwrap();
        assert_eq!(excess, "496 bytes of stack in p > f, the budget is 480");
        let both = cost(INSTRUCTIONS + 1, STACK + 1).excess().unwrap();
        assert!(both.contains("; "), "{both}");
    }

    #[test]
    fn a_hundred_per_cent_is_the_whole_budget_and_no_more() {
        assert_eq!(cost(0, 0).percent(), 0);
        assert_eq!(cost(1, 0).percent(), 1);
        assert_eq!(cost(INSTRUCTIONS, 0).percent(), 100);
        assert_eq!(cost(INSTRUCTIONS + 1, 0).percent(), 101);
        assert_eq!(cost(1_000_000, 0).percent(), 143);
    }

    #[test]
    fn a_program_has_the_instructions_of_all_its_functions() {
        assert_eq!(cost(0, 0).instructions(), 5);
    }
}
