//! The memory of maps in the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result, ensure};
use aya::maps::loaded_maps;

/// The ids of all maps in the kernel.
pub fn maps() -> Result<BTreeSet<u32>> {
    loaded_maps().map(|map| Ok(map?.id())).collect()
}

/// Bytes of all maps made since `before` (`memlock` of `proc_pid_fdinfo(5)`).
pub fn since(before: &BTreeSet<u32>) -> Result<u64> {
    let mut bytes = 0;
    for map in loaded_maps() {
        let map = map?;
        if before.contains(&map.id()) {
            continue;
        }
        // Maps of other processes may vanish while they are listed.
        let Ok(fd) = map.fd() else { continue };
        let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        bytes += value(&text, "memlock:").with_context(|| format!("no memlock in {path}"))?;
    }
    ensure!(bytes > 0, "there are no new maps");
    Ok(bytes)
}

fn value(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_map_is_read() {
        let text = "pos:\t0\nmap_type:\t2\nmemlock:\t8192\nmap_id:\t17\n";
        assert_eq!(value(text, "memlock:"), Some(8192));
        assert_eq!(value("pos:\t0\n", "memlock:"), None);
    }
}
