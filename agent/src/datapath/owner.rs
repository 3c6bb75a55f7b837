//! Whose program is attached to an XDP hook.

use std::fs;

use aya::programs::loaded_programs;

/// Describes the program `id`: its name, and the processes that hold it, if this process may see
/// them.
#[must_use]
pub fn describe(id: u32) -> String {
    let name = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned));
    let name = name.map_or_else(
        || format!("a program (id {id}; `bpftool prog show id {id}` as root shows its name)"),
        |name| format!("program `{name}` (id {id})"),
    );
    let holders = holders(id);
    if holders.is_empty() {
        return format!(
            "{name}, which is pinned, attached over netlink, or held by a process that the agent may not look into"
        );
    }
    format!("{name}, held by {}", holders.join(", "))
}

/// Processes with a file descriptor of the program `id` or of a link to it.
fn holders(id: u32) -> Vec<String> {
    let mark = format!("prog_id:\t{id}");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| pid != std::process::id() && holds(pid, &mark))
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim())
        })
        .collect()
}

fn holds(pid: u32, mark: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return false;
    };
    descriptors.filter_map(Result::ok).any(|entry| {
        fs::read_to_string(entry.path()).is_ok_and(|info| info.lines().any(|line| line == mark))
    })
}
