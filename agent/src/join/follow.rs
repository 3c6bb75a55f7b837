//! Keeps a session with one host: enrols, waits for the end of the session, enrols again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep},
};

use super::{
    Credentials, Failure, Host,
    backoff::{Backoff, within},
    board::Board,
    connect::{self, Enrolled, Sockets},
};

/// A session that lasted this long resets the back-off; a shorter one counts as a failure.
const SETTLED: Duration = Duration::from_secs(10);

/// State shared by the followers of all hosts.
pub(super) struct Shared {
    pub(super) sockets: Sockets,
    pub(super) board: Board,
    /// A permit for each attempt that may be in progress.
    pub(super) turns: Semaphore,
}

/// The next event.
enum Next {
    /// An attempt has ended.
    Tried(Result<Enrolled, Failure>),
    /// The session ended.
    Lost(Failure),
    /// The host was removed from the list.
    Stop,
    /// It is time for an attempt.
    Try,
    /// There are new credentials.
    Changed,
}

/// One host's state.
pub(super) struct Follower {
    pub(super) host: Arc<Host>,
    pub(super) shared: Arc<Shared>,
    pub(super) credentials: watch::Receiver<Arc<Credentials>>,
    /// Signals to stop when its sender is dropped.
    pub(super) stop: watch::Receiver<()>,
    /// The first attempt, and the first with a new certificate, begins at a random time within
    /// this.
    pub(super) spread: Duration,
}

impl Follower {
    /// Follows the host until it is told to stop.
    pub(super) async fn follow(mut self) {
        let mut session: Option<(Enrolled, Instant)> = None;
        let mut backoff = Backoff::default();
        let mut wait = within(self.spread);
        loop {
            let next = match self.wait(wait, session.as_mut()).await {
                Next::Try => self.attempt(session.as_mut()).await,
                next => next,
            };
            wait = match next {
                Next::Stop => break,
                Next::Lost(failure) => self.lost(&failure, session.take(), &mut backoff),
                Next::Changed | Next::Try => within(self.spread),
                Next::Tried(Ok(new)) => {
                    self.shared.board.granted(&self.host, &new.granted);
                    // The old session is closed only when the new one is open.
                    if let Some((old, _)) = session.replace((new, Instant::now())) {
                        old.close();
                    }
                    // No further attempt is due.
                    Duration::MAX
                }
                Next::Tried(Err(failure)) => {
                    if session.is_some() {
                        self.shared.board.not_renewed(&self.host, &failure);
                    } else {
                        self.shared.board.failed(&self.host, &failure);
                    }
                    backoff.next()
                }
            };
        }
        if let Some((session, _)) = session {
            session.close();
        }
    }

    /// Records that a session ended; returns the time to wait before the next attempt.
    fn lost(
        &self,
        failure: &Failure,
        session: Option<(Enrolled, Instant)>,
        backoff: &mut Backoff,
    ) -> Duration {
        self.shared.board.failed(&self.host, failure);
        if session.is_some_and(|(_, since)| since.elapsed() >= SETTLED) {
            backoff.reset();
        }
        // Otherwise two holders of one identity would replace each other all the time.
        if failure.is_replaced() {
            return Backoff::give_way();
        }
        backoff.next()
    }

    /// Waits before an attempt, or until something else happens.
    async fn wait(&mut self, wait: Duration, session: Option<&mut (Enrolled, Instant)>) -> Next {
        tokio::select! {
            biased;
            _ = self.stop.changed() => Next::Stop,
            failure = ended(session) => Next::Lost(failure),
            Ok(()) = self.credentials.changed() => Next::Changed,
            () = sleep(wait) => Next::Try,
        }
    }

    /// Enrols, when it is this host's turn.
    async fn attempt(&mut self, session: Option<&mut (Enrolled, Instant)>) -> Next {
        let credentials = Arc::clone(&self.credentials.borrow_and_update());
        let shared = Arc::clone(&self.shared);
        let host = Arc::clone(&self.host);
        let attempt = async move {
            // The semaphore is never closed; without it there is no turn to wait for.
            let _turn = shared.turns.acquire().await;
            connect::enrol(&shared.sockets, &credentials, &host).await
        };
        tokio::select! {
            biased;
            _ = self.stop.changed() => Next::Stop,
            failure = ended(session) => Next::Lost(failure),
            tried = attempt => Next::Tried(tried),
        }
    }
}

/// The end of a session; never, if there is none.
async fn ended(session: Option<&mut (Enrolled, Instant)>) -> Failure {
    match session {
        Some((session, _)) => session.ended().await,
        None => std::future::pending().await,
    }
}
