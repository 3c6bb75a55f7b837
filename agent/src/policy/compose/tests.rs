//! Policies of several files.

use std::{fs, path::PathBuf};

use super::*;
use crate::policy::{self, read};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const HOST: &str = "\
apiVersion: manoward/v1
name: $(name)
serial: 7
interfaces: [bond0]
protect: [$(management), $(more)]
endpoints:
  vim-1: { role: vim, addresses: [192.0.2.10] }
reference_points: {}
";

const SITE: &str = "\
endpoints:
  vim-1: { mac: \"52:54:00:aa:bb:01\" }
  bastion: { role: bastion, addresses: [\"2001:db8::/64\", 198.51.100.0/28] }
reference_points:
  operations: { from: [bastion], services: [ssh], at: [$(management)] }
services:
  odd: [{ protocol: tcp, ports: [7100-7103] }, { protocol: gre }]
";

const FACTS: &str =
    "name: compute-17\nmanagement: 192.0.2.17\nmore: [192.0.2.18, \"2001:db8::18\"]\n";

#[test]
fn files_are_merged_by_name_and_facts_put_in() {
    let folder = folder(&[
        ("policy.yaml", HOST),
        ("policy.d/10-site.yaml", SITE),
        ("policy.d/90-host.yaml", "serial: 8\nmode: audit\n"),
        ("policy.d/.swp.yaml", "{"),
        ("policy.d/notes.txt", "{"),
        ("facts.yaml", FACTS),
    ]);
    let composed = compose(&folder.path().join("policy.yaml"), Owner::Anyone).unwrap();
    let policy = read(&composed.text, "f").unwrap().policy;
    assert_eq!((&*policy.name, policy.serial), ("compute-17", 8));
    assert_eq!(policy.protect.len(), 3);
    let vim = &policy.endpoints["vim-1"];
    assert!(vim.binding.mac.is_some() && vim.addresses.len() == 1);
    assert_eq!(policy.endpoints["bastion"].addresses.len(), 2);
    assert_eq!(policy.reference_points[0].at.len(), 1);
    assert_eq!(policy.mode, policy::Mode::Audit);
    let annotated = composed.sources.annotated().unwrap();
    assert!(annotated.contains("10-site.yaml:3"), "{annotated}");
    assert_eq!(read(annotated, "f").unwrap().policy, policy);
}

#[test]
fn one_file_is_its_own_effective_policy() {
    let folder = folder(&[("policy.yaml", "name: x # as it is\n"), ("facts.yaml", "{")]);
    let composed = compose(&folder.path().join("policy.yaml"), Owner::Anyone).unwrap();
    assert_eq!(composed.text, "name: x # as it is\n");
    assert!(!composed.sources.are_several());
}

#[test]
fn every_mistake_points_at_its_file() {
    let mistaken = SITE
        .replace("198.51.100.0/28", "198.51.100.1/28")
        .replace("52:54:00:aa:bb:01", "oops");
    let facts = FACTS.replace("192.0.2.18,", "192.0.2.17,");
    let folder = folder(&[
        ("policy.yaml", HOST),
        ("policy.d/10-site.yaml", &mistaken),
        ("facts.yaml", &facts),
    ]);
    let composed = compose(&folder.path().join("policy.yaml"), Owner::Anyone).unwrap();
    let error = read(&composed.text, "policy.yaml").unwrap_err();
    let name = |path: PathBuf| path.display().to_string();
    let lines = composed.sources.lines(&error);
    let site = name(folder.path().join("policy.d/10-site.yaml"));
    let facts = name(folder.path().join("facts.yaml"));
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{site}:2:17: "))),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{site}:3:58: "))),
        "{lines:#?}"
    );
    let twice = lines
        .iter()
        .find(|line| line.starts_with(&format!("{facts}:3:8: ")));
    let twice = twice.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(twice.contains(&format!("line 2 of {facts}")), "{twice}");
}

#[test]
fn what_cannot_be_put_together_is_reported_in_each_file() {
    let folder = folder(&[
        ("policy.yaml", "name: $(nam)\nmode: $(\n"),
        ("policy.d/a.yaml", "a: [\n"),
        ("policy.d/b.yaml", "x: a$(list)\n"),
        ("facts.yaml", "name: x\nlist: [a]\nmap: { a: b }\n"),
    ]);
    let error = compose(&folder.path().join("policy.yaml"), Owner::Anyone).unwrap_err();
    let text = error.to_string();
    for part in [
        "policy.yaml:1:7: there is no fact `nam`. Did you mean `name`?",
        "policy.yaml:2:7: a variable",
        "a.yaml:2:",
        "b.yaml:1:4: the fact `list` is a list",
        "facts.yaml:3:6: the fact `map`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
