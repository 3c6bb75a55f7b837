//! A program's functions, who calls whom, and the chain of calls that takes the most stack.

use std::collections::BTreeSet;
use std::ops::Range;

/// Longest chain of calls that the verifier accepts (`MAX_CALL_FRAMES`).
const FRAMES: usize = 8;

/// The last kernel that rounds all stacks up to what the interpreter needs, major and minor.
const LAST_FOR_INTERPRETER: (u32, u32) = (6, 8);

/// A call from one function of a program to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The instruction.
    pub at: usize,
    /// The first instruction of what is called.
    pub target: usize,
}

/// A function of a program, as the verifier divides it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its instructions.
    pub instructions: Range<usize>,
    /// The functions that it calls, by their number.
    pub callees: BTreeSet<usize>,
}

/// The functions of a program with `length` instructions and these `calls`, in the order in which
/// they lie in it. Each begins at its first instruction and ends where the next one begins
/// (`add_subprog` in `kernel/bpf/verifier.c`).
pub fn functions(length: usize, calls: &[Call]) -> Vec<Function> {
    let starts: BTreeSet<usize> = calls.iter().map(|call| call.target).chain([0]).collect();
    let starts: Vec<usize> = starts.into_iter().collect();
    let ends = starts.iter().copied().skip(1).chain([length]);
    let function = |(start, end): (usize, usize)| Function {
        instructions: start..end,
        callees: calls
            .iter()
            .filter(|call| (start..end).contains(&call.at))
            .filter_map(|call| starts.binary_search(&call.target).ok())
            .collect(),
    };
    starts.iter().copied().zip(ends).map(function).collect()
}

/// How a kernel rounds up the stack of each function, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To 32 bytes, at least 32, as the interpreter needs it.
    Interpreter,
    /// To 16 bytes, as the JIT needs it (`round_up_stack_depth`, Linux 6.9).
    Compiler,
}

impl Rounding {
    /// The rounding of a kernel with this major and minor number and an enabled JIT.
    pub fn of(kernel: (u32, u32)) -> Self {
        if kernel <= LAST_FOR_INTERPRETER {
            Self::Interpreter
        } else {
            Self::Compiler
        }
    }

    fn round(self, bytes: u32) -> u32 {
        match self {
            Self::Interpreter => bytes.max(1).next_multiple_of(32),
            Self::Compiler => bytes.next_multiple_of(16),
        }
    }
}

/// The bytes of stack and the functions of the chain of calls from the program itself, the first
/// of `functions`, that takes the most (`check_max_stack_depth`). `stack` has each one's own bytes.
pub fn deepest(functions: &[Function], stack: &[u32], rounding: Rounding) -> (u32, Vec<usize>) {
    // A chain is longer than this only if a function calls itself, which no kernel accepts.
    fn below(functions: &[Function], own: &[u32], number: usize, left: usize) -> (u32, Vec<usize>) {
        let callees = functions[number].callees.iter();
        let chains = callees
            .filter(|_| left > 1)
            .map(|callee| below(functions, own, *callee, left - 1));
        let (bytes, mut chain) = chains.max_by_key(|chain| chain.0).unwrap_or_default();
        chain.push(number);
        (bytes + own[number], chain)
    }
    let own: Vec<u32> = stack.iter().map(|bytes| rounding.round(*bytes)).collect();
    let (bytes, mut chain) = below(functions, &own, 0, FRAMES);
    chain.reverse();
    (bytes, chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main (0..10) calls f (10..14) and h (20..24); f calls g (14..20), and so does h.
    fn program() -> Vec<Function> {
        let call = |at, target| Call { at, target };
        functions(
            24,
            &[
                call(3, 20),
                call(5, 10),
                call(6, 10),
                call(12, 14),
                call(21, 14),
            ],
        )
    }

    #[test]
    fn a_program_is_divided_where_functions_begin() {
        let program = program();
        let ranges: Vec<_> = program.iter().map(|it| it.instructions.clone()).collect();
        assert_eq!(ranges, [0..10, 10..14, 14..20, 20..24]);
        let callees: Vec<Vec<usize>> = program
            .iter()
            .map(|it| it.callees.iter().copied().collect())
            .collect();
        assert_eq!(callees, [vec![1, 3], vec![2], vec![], vec![2]]);
        assert_eq!(functions(5, &[]).len(), 1, "without calls");
    }

    #[test]
    fn the_deepest_chain_is_that_with_most_bytes() {
        let program = program();
        let deepest = |stack: [u32; 4]| deepest(&program, &stack, Rounding::Compiler);
        assert_eq!(deepest([64, 32, 16, 0]), (112, vec![0, 1, 2]));
        assert_eq!(deepest([64, 32, 16, 48]), (128, vec![0, 3, 2]));
        assert_eq!(deepest([64, 320, 0, 48]).0, 384);
    }

    #[test]
    fn kernels_round_up_the_stack_of_each_function() {
        let program = program();
        let stack = [1, 17, 0, 0];
        assert_eq!(deepest(&program, &stack, Rounding::Interpreter).0, 96);
        assert_eq!(deepest(&program, &stack, Rounding::Compiler).0, 48);
        assert_eq!(Rounding::of((5, 10)), Rounding::Interpreter);
        assert_eq!(Rounding::of((6, 8)), Rounding::Interpreter);
        assert_eq!(Rounding::of((6, 9)), Rounding::Compiler);
        assert_eq!(Rounding::of((7, 0)), Rounding::Compiler);
    }

    #[test]
    fn a_function_that_calls_itself_ends_the_search() {
        let program = functions(2, &[Call { at: 1, target: 0 }]);
        let (bytes, chain) = deepest(&program, &[16], Rounding::Compiler);
        assert_eq!((bytes, chain.len()), (128, FRAMES));
    }
}
