//! A spinner for operations that take long.

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::timeout;

/// How long an operation may take before the spinner appears.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for `work`; after [`PATIENCE`], a spinner with `label` is shown on the terminal.
pub async fn during<T>(label: &'static str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    if let Ok(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
        .expect("the template is constant and valid");
    let spinner = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(label)
        .with_elapsed(PATIENCE);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
