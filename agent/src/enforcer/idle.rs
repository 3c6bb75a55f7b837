//! Connections that are silent for longer than a flow lasts: as long as a socket of the host has one, it is
//! kept.

use std::time::{Duration, Instant};

use tracing::warn;
use verdict::state::flow::State;

use super::{Current, Handle};
use crate::{
    datapath::{Pins, keep_silent},
    policy::Policy,
};

/// States of connections of sockets that may be silent.
const SILENT: [State; 3] = [
    State::TcpEstablished,
    State::TcpClosing,
    State::UdpEstablished,
];

/// Shortest time between two looks at all sockets.
const SHORTEST: Duration = Duration::from_secs(2);

/// Who looks at the sockets.
#[derive(Clone, Debug)]
pub(super) struct Idle {
    pins: Pins,
}

impl Idle {
    pub(super) const fn new(pins: Pins) -> Self {
        Self { pins }
    }

    /// Keeps the flows of silent connections.
    fn keep(&self, current: &Current) {
        if let Err(error) = keep_silent(&self.pins, &current.image) {
            warn!(%error, "flows of silent connections may end before their sockets");
        }
    }
}

impl Handle {
    /// Keeps the flows of silent connections, for as long as the agent runs.
    pub async fn keep_idle(self) {
        let mut looked = Instant::now();
        loop {
            tokio::time::sleep(SHORTEST).await;
            let Some(current) = self.view().current.clone() else {
                continue;
            };
            if looked.elapsed() < interval(current.policy()) {
                continue;
            }
            let idle = self.idle.clone();
            let keeping = tokio::task::spawn_blocking(move || idle.keep(&current));
            if let Err(error) = keeping.await {
                warn!(%error, "silent connections were not looked at");
            }
            looked = Instant::now();
        }
    }
}

/// Time between two looks: a quarter of the shortest time that the flow of a silent connection lasts.
fn interval(policy: &Policy) -> Duration {
    let seconds = SILENT.map(|state| policy.flow_timeouts.seconds(state));
    let shortest = seconds.into_iter().min().unwrap_or(0);
    (Duration::from_secs(shortest.into()) / 4).max(SHORTEST)
}
