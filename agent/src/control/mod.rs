//! The control API: HTTP with JSON over a unix socket, for the CLI and for `curl`.
//!
//! What goes over the wire is [`manoward_api`]'s. The rest of the agent does not know it: its
//! values become answers in `wire`, and its errors in `answers`, here alone.

mod answers;
pub mod client;
mod connections;
mod limits;
pub mod listen;
pub mod requests;
pub mod server;
pub mod wire;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Who knows the API: this folder, the command line, and the daemon that starts the server.
    const KNOW: [&str; 4] = ["control", "cli", "daemon", "main.rs"];

    fn look(folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder of the sources") {
            let path = entry.expect("an entry").path();
            if KNOW.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            if path.is_dir() {
                look(&path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file");
            for name in ["manoward_api", "crate::control", " control::", "axum"] {
                assert!(!text.contains(name), "{} knows {name}", path.display());
            }
        }
    }

    #[test]
    fn the_rest_of_the_agent_does_not_know_the_api() {
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    }
}
