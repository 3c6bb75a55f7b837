//! Imports go down the layers only: decision, state, image, frame.

use std::{
    fs,
    path::Path,
    string::{String, ToString},
    vec::Vec,
};

/// The layers, the lowest first.
const LAYERS: [&str; 4] = ["frame", "image", "state", "decision"];

/// The sources below `folder`, without tests.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if !name.contains("tests") {
            let text = fs::read_to_string(&path).expect("a source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.push((name, text.into()));
        }
    }
    found
}

#[test]
fn a_layer_imports_only_from_lower_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (at, layer) in LAYERS.iter().enumerate() {
        let files = sources(&root.join(layer));
        assert!(files.len() > 4, "{layer} has files");
        for (name, text) in files {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let code = code.collect::<Vec<_>>().join("\n");
            // What is imported from this crate stands in one block.
            let imported = code.split("use crate::").nth(1).unwrap_or_default();
            let imported = imported.split(";\n").next().unwrap_or_default();
            for higher in &LAYERS[at + 1..] {
                let one = std::format!("{higher}::");
                assert!(
                    !imported.contains(&one) && !code.contains(&std::format!("crate::{one}")),
                    "{name} imports from {higher}"
                );
            }
        }
    }
}
