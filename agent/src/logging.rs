//! The agent's log: to the journal under systemd, else to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Environment variable with directives such as `debug` or `manoward::enforcer=debug`.
const VARIABLE: &str = "MANOWARD_LOG";

/// Starts logging; a second call does nothing.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_env_var(VARIABLE)
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let output = if let Some(journal) = journal {
        journal.boxed()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(colour)
            .with_target(false)
            .boxed()
    };
    // Tests in one process start several agents' logs.
    let _ = tracing_subscriber::registry()
        .with(output.with_filter(filter))
        .try_init();
}
