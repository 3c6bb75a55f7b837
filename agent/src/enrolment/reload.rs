//! Reads changed files again, and verifies sessions again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use super::{
    pki::{PkiError, Stamps},
    shared::Shared,
    trust::FileContents,
};

/// How often the files are checked for changes.
const LOOK: Duration = Duration::from_secs(2);
/// How often all sessions are verified again, as authorities and lists expire, too.
const VERIFY: Duration = Duration::from_mins(1);

/// Reads the files again when they change, and verifies all sessions at least every [`VERIFY`].
pub(super) async fn follow(shared: Arc<Shared>, mut stamps: Stamps) {
    let mut verified = Instant::now();
    let mut failed = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Stamps::of(shared.config.files.paths());
        let changed = now != stamps;
        stamps = now;
        // After a failure, files are read again even if they seem unchanged: timestamps of a file
        // system are coarse, and certificate and key are not written at the same time.
        if changed || failed {
            let reloading = Arc::clone(&shared);
            match tokio::task::spawn_blocking(move || reloading.reload()).await {
                Ok(read) => {
                    failed = read.is_err();
                    log(&read, changed);
                }
                Err(error) => warn!(%error, "reading certificates ended in a panic"),
            }
        } else if verified.elapsed() >= VERIFY {
            let verifying = Arc::clone(&shared);
            let verify = move || verifying.verify();
            if let Err(error) = tokio::task::spawn_blocking(verify).await {
                warn!(%error, "verifying sessions ended in a panic");
            }
        } else {
            continue;
        }
        verified = Instant::now();
    }
}

/// Takes the files whose contents are handed over, and verifies all sessions then, whenever there is nothing in the
/// message, and at least every [`VERIFY`].
pub(super) async fn take(shared: Arc<Shared>, mut handed: mpsc::Receiver<Option<FileContents>>) {
    loop {
        let contents = match timeout(VERIFY, handed.recv()).await {
            Ok(Some(contents)) => contents,
            Ok(None) => return,
            Err(_) => None,
        };
        let shared = Arc::clone(&shared);
        let work = move || match contents {
            Some(contents) => log(&shared.take(&contents), true),
            None => drop(shared.verify()),
        };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            warn!(%error, "verifying sessions ended in a panic");
        }
    }
}

/// Logs the result; a failure only once for each change.
fn log(read: &Result<usize, PkiError>, changed: bool) {
    match read {
        Ok(closed) => info!(
            event = "reload",
            service = "enrolment",
            outcome = "success",
            closed,
            "certificates and revocation lists read again"
        ),
        Err(error) if changed => warn!(
            event = "reload",
            service = "enrolment",
            outcome = "failure",
            reason = %error,
            "the files read before stay in use"
        ),
        Err(_) => {}
    }
}
