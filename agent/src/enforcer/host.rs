//! Facts of the host that lints look at.

use std::fs;

use crate::{datapath::interface::Interfaces, policy::HostFacts};

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Collects the facts; what cannot be read is left out.
#[must_use]
pub fn host_facts(interfaces: &Interfaces) -> HostFacts {
    HostFacts {
        addresses: interfaces.addresses().collect(),
        interfaces: interfaces.names().map(str::to_owned).collect(),
        ephemeral_ports: fs::read_to_string(EPHEMERAL).ok().and_then(|text| {
            let mut ports = text.split_whitespace().map(str::parse);
            Some((ports.next()?.ok()?, ports.next()?.ok()?))
        }),
        reserved_ports: fs::read_to_string(RESERVED)
            .map_or_else(|_| Vec::new(), |text| ranges(&text)),
    }
}

/// Ranges of ports as the kernel lists them: `22,100-200`.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    text.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn reads_ranges_of_ports() {
        assert_eq!(ranges("\n"), []);
        assert_eq!(ranges("22,100-200\n"), [(22, 22), (100, 200)]);
    }
}
