//! The memory of maps in the kernel.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};

/// Bytes of all maps that a process has open (`memlock` of proc_pid_fdinfo(5)).
pub fn of_maps(process: u32) -> Result<u64> {
    let folder = format!("/proc/{process}/fdinfo");
    let files = fs::read_dir(&folder).with_context(|| format!("listing {folder}"))?;
    let mut maps = BTreeMap::new();
    for file in files {
        // Descriptors come and go.
        let Ok(text) = fs::read_to_string(file?.path()) else {
            continue;
        };
        if let Some((id, bytes)) = value(&text, "map_id:").zip(value(&text, "memlock:")) {
            maps.insert(id, bytes);
        }
    }
    ensure!(!maps.is_empty(), "the process {process} has no maps open");
    Ok(maps.values().sum())
}

fn value(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_tells_its_size() {
        let text = "pos:\t0\nmap_type:\t2\nmemlock:\t8192\nmap_id:\t17\n";
        assert_eq!(value(text, "map_id:"), Some(17));
        assert_eq!(value(text, "memlock:"), Some(8192));
        assert_eq!(value("pos:\t0\n", "map_id:"), None);
    }
}
