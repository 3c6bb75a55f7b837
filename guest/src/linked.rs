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

/// The calls between functions; those of the kernel's helpers are none.
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
