//! One session, from the grant to its end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    End, Grant,
    log::Log,
    sessions::Session,
    shared::Shared,
    wire::{self, Answer},
};

/// How long to wait until a last message has arrived.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A session that was granted.
pub(super) struct Live {
    pub(super) session: Session,
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    /// Kept, as dropping it would send `STOP_SENDING` to the peer.
    pub(super) _receive: RecvStream,
    /// Receives the reason to close it.
    pub(super) close: oneshot::Receiver<End>,
    /// Its permit, of those for open sessions.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Live {
    /// Tells the endpoint that it is admitted, and runs the session to its end.
    pub(super) async fn follow(mut self, grant: &Grant, shared: &Arc<Shared>) {
        let keepalive = shared.config.keepalive;
        let answer = Answer::Granted {
            endpoint: grant.endpoint.clone(),
            role: grant.role.clone(),
            expires_in_seconds: grant.expires_in.as_secs(),
            keepalive_seconds: keepalive.as_secs().max(1),
        };
        let end = match wire::write(&mut self.send, &answer).await {
            Ok(()) => self.live(keepalive, shared).await,
            Err(error) => failed(&error),
        };
        // First the datapath: from here on no packet of the endpoint passes.
        shared.registrar.end(self.session.id, &end).await;
        shared.sessions.remove(self.session.id);
        Log::ended(&self.session, &end);
        if self.connection.close_reason().is_none() {
            let answer = Answer::Ended {
                reason: end.name().to_owned(),
                sentence: wire::shortened(&end.to_string()),
            };
            tell(&mut self.send, &answer).await;
            self.connection.close(wire::ENDED, end.name().as_bytes());
        }
    }

    /// Waits for the end, and renews the lease while the peer answers.
    async fn live(&mut self, keepalive: Duration, shared: &Shared) -> End {
        let mut heard = self.heard();
        let mut tick = Instant::now() + keepalive;
        loop {
            // Read at every tick: files may have been read again, and the wall clock set.
            let until = shared.sessions.until(self.session.id);
            let until = until.unwrap_or(Timestamp::MIN);
            let Ok(left) = Duration::try_from(until.duration_since(Timestamp::now())) else {
                return End::Expired;
            };
            let now = Instant::now();
            let wake = if left < keepalive {
                tick.min(now + left)
            } else {
                tick
            };
            tokio::select! {
                error = self.connection.closed() => return ended(&error),
                end = &mut self.close => return end.unwrap_or(End::Shutdown),
                () = sleep_until(wake) => {}
            }
            if Instant::now() >= tick {
                tick = Instant::now() + keepalive;
                let before = std::mem::replace(&mut heard, self.heard());
                if heard != before {
                    shared.registrar.renew(self.session.id, until);
                }
            }
        }
    }

    /// Number of ACK and PING frames received from the peer, which are authenticated by the
    /// session's keys.
    fn heard(&self) -> u64 {
        let frames = self.connection.stats().frame_rx;
        frames.acks + frames.ping
    }
}

/// Sends a last message and waits until it has arrived.
pub(super) async fn tell(send: &mut SendStream, answer: &Answer) {
    let told = async {
        if wire::write(send, answer).await.is_ok() && send.finish().is_ok() {
            let _ = send.stopped().await;
        }
    };
    let _ = timeout(LAST_WORDS, told).await;
}

fn ended(error: &ConnectionError) -> End {
    match error {
        ConnectionError::ApplicationClosed(_) => End::Closed,
        ConnectionError::TimedOut | ConnectionError::Reset => End::Silence,
        ConnectionError::LocallyClosed => End::Shutdown,
        error => failed(error),
    }
}

/// The connection failed, in words that the peer may have chosen.
fn failed(error: &impl ToString) -> End {
    End::Failed(wire::shortened(&error.to_string()))
}
