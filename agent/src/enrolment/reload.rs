//! Files that change, and what it means for sessions.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    pki::{PkiError, Stamps},
    shared::Shared,
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often all sessions are verified again: authorities and lists run out, too.
const VERIFY: Duration = Duration::from_mins(1);
/// Reads the files again when they change, and verifies all sessions now and then.
pub(super) async fn follow(shared: Arc<Shared>, mut stamps: Stamps) {
    let mut verified = Instant::now();
    let mut failed = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Stamps::of(shared.config.files.paths());
        let changed = now != stamps;
        stamps = now;
        // After a failure files are read again even if nothing seems to have changed: the clock of
        // a file system is coarse, and certificate and key are never written at once.
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
            let verify = move || verifying.sessions.verify(&verifying.trust());
            if let Err(error) = tokio::task::spawn_blocking(verify).await {
                warn!(%error, "verifying sessions ended in a panic");
            }
        } else {
            continue;
        }
        verified = Instant::now();
    }
}

/// A failure is logged once for each change.
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
            "what was read before stays in force"
        ),
        Err(_) => {}
    }
}
