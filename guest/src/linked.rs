//! The kernel object's programs as they are loaded: with the functions that they call.

use std::collections::HashMap;

use anyhow::{Context, Result};
use aya_obj::Object;
use aya_obj::generated::{BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, bpf_insn};

use crate::calls::{self, Call, Function};

/// A program with its functions.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The functions.
    pub functions: Vec<Function>,
    /// Their names.
    pub names: Vec<String>,
}

impl Linked {
    /// Links `program` of an `object`, as aya does when it loads it.
    ///
    /// # Errors
    ///
    /// If the object has no such program, or lacks type information about its functions.
    pub fn read(object: &[u8], program: &str) -> Result<Self> {
        let mut object = Object::parse(object).context("parsing the kernel object")?;
        let types: HashMap<u32, String> = object
            .functions
            .values()
            .filter_map(|it| Some((it.func_info.func_info.first()?.type_id, it.name.clone())))
            .collect();
        let sections = object.functions.keys().map(|(section, _)| *section);
        let sections = sections.collect();
        object
            .relocate_calls(&sections)
            .context("linking functions")?;
        let found = object.programs.get(program);
        let found = found.with_context(|| format!("the kernel object has no {program}"))?;
        let linked = &object.functions[&found.function_key()];
        let functions = calls::functions(linked.instructions.len(), &calls(&linked.instructions));
        let name = |function: &Function| {
            let starts = |offset: u32| offset as usize == function.instructions.start;
            let mut information = linked.func_info.func_info.iter();
            let found = information.find(|it| starts(it.insn_off))?;
            types.get(&found.type_id).cloned()
        };
        let names: Option<Vec<String>> = functions.iter().map(name).collect();
        Ok(Self {
            functions,
            names: names.context("a function has no type information")?,
        })
    }
}

/// The calls between functions, without those of the kernel's helpers.
fn calls(instructions: &[bpf_insn]) -> Vec<Call> {
    const CALL: u32 = BPF_JMP | BPF_CALL;
    let call = |(at, instruction): (usize, &bpf_insn)| {
        let own = u32::from(instruction.code) == CALL
            && u32::from(instruction.src_reg()) == BPF_PSEUDO_CALL;
        // From the next instruction, and backwards to what was linked before.
        let distance = isize::try_from(instruction.imm).ok()?;
        let target = (at + 1).checked_add_signed(distance)?;
        own.then_some(Call { at, target })
    };
    instructions.iter().enumerate().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use manoward::datapath::{Features, Program, Role, object};

    use super::*;

    const FEATURES: Features = Features {
        jiffies_per_second: None,
        coarse_clock: true,
        multi_buffer: true,
        tcx: true,
        sockets: None,
    };

    #[test]
    fn functions_follow_each_other_and_have_names() {
        let roles = [Role::Alone, Role::Watched, Role::Candidate];
        let every = Program::ALL
            .iter()
            .flat_map(|it| roles.map(|role| it.name_as(role)));
        for program in every {
            let linked = Linked::read(&object(FEATURES), program).unwrap();
            let Linked { functions, names } = linked;
            assert_eq!(names[0], program);
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            for pair in functions.windows(2) {
                assert_eq!(pair[0].instructions.end, pair[1].instructions.start);
            }
            let called: BTreeSet<usize> =
                functions.iter().flat_map(|it| it.callees.clone()).collect();
            let others: BTreeSet<usize> = (1..functions.len()).collect();
            assert_eq!(called, others, "every linked function is called");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Linked::read(&object(FEATURES), "other").unwrap_err();
        assert_eq!(error.to_string(), "the kernel object has no other");
    }

    #[test]
    fn calls_go_forwards_and_backwards_and_not_to_helpers() {
        let call = |source: u8, distance| bpf_insn {
            code: (BPF_JMP | BPF_CALL) as u8,
            _bitfield_align_1: [],
            _bitfield_1: bpf_insn::new_bitfield_1(0, source),
            off: 0,
            imm: distance,
        };
        let found = calls(&[call(1, 1), call(0, 1), call(1, -2)]);
        let expected = [Call { at: 0, target: 2 }, Call { at: 2, target: 1 }];
        assert_eq!(found, expected);
    }
}
