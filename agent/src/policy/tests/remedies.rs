//! Remedies that work: one mistake for one slip, and what is told to be written is accepted.

use super::*;

const BASE: &str = "\
apiVersion: manoward/v1
name: n
serial: 1
interfaces: [eth0]
protect: [interface-addresses]
endpoints:
  vim-1: { role: vim, addresses: [192.0.2.10] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh] }
";

/// The policy with one part replaced.
fn policy(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old}");
    BASE.replacen(old, new, 1)
}

#[test]
fn what_a_remedy_says_is_accepted() {
    for (part, slip, remedy, mended) in [
        ("serial: 1", "serial: \"20\"", "`serial: 20`", "serial: 20"),
        ("name: n", "name: 17", "in quotes: `\"17\"`", "name: \"17\""),
        (
            "name: n",
            "mode: true\nname: n",
            "`mode: enforce`",
            "mode: enforce\nname: n",
        ),
        (
            "name: n",
            "mode: on\nname: n",
            "`enforce`, `audit`",
            "mode: audit\nname: n",
        ),
        (
            "name: n",
            "outbound: false\nname: n",
            "`outbound: audit`",
            "outbound: audit\nname: n",
        ),
        (
            "services: [ssh]",
            "services: [22]",
            "`ssh`",
            "services: [ssh]",
        ),
        (
            "services: [ssh]",
            "services: [\"22\"]",
            "`ssh`",
            "services: [ssh]",
        ),
        (
            "services: [ssh]",
            "services: [4711]",
            "`NAME: { protocol: tcp, ports: [4711] }`",
            "services: [ssh]",
        ),
        (
            "from: [vim]",
            "from: [vim-1]",
            "its role: `vim`",
            "from: [vim]",
        ),
        ("from: [vim]", "from: vim", "`from: [vim]`", "from: [vim]"),
        ("[192.0.2.10]", "192.0.2.10", "[192.0.2.10]", "[192.0.2.10]"),
        (
            "[192.0.2.10]",
            "[192.0.2.10/255.255.255.0]",
            "`192.0.2.0/24`",
            "[192.0.2.0/24]",
        ),
        ("[192.0.2.10]", "[10]", "192.0.2.10", "[192.0.2.10]"),
        ("role: vim", "role: 7", "in quotes: `\"7\"`", "role: vim"),
        ("role: vim", "mac: 5, role: vim", "52:54:00", "role: vim"),
        (
            "reference_points",
            "services: { mine: { protocol: tcp, ports: 7100 } }\nreference_points",
            "`ports: [7100]`",
            "services: { mine: { protocol: tcp, ports: [7100] } }\nreference_points",
        ),
        (
            "reference_points",
            "services: { mine: { protocol: tcp, ports: {} } }\nreference_points",
            "ports: [",
            "reference_points",
        ),
        (
            "reference_points",
            "services: { mine: { protocol: true, ports: [1] } }\nreference_points",
            "`protocol: tcp`",
            "reference_points",
        ),
    ] {
        let error = read(&policy(part, slip), "p.yaml").expect_err(slip);
        let [mistake] = error.mistakes() else {
            panic!("{slip}: {error}");
        };
        assert!(
            mistake.remedy.contains(remedy),
            "{slip}: {}",
            mistake.remedy
        );
        assert!(read(&policy(part, mended), "p.yaml").is_ok(), "{mended}");
    }
}
