//! Connections that are silent for longer than a flow lasts: as long as a socket of the host has one, it is
//! kept.

use std::time::{Duration, Instant};

use tracing::warn;
use verdict::state::flow::State;

use super::Handle;
use crate::{datapath::keep_silent, policy::Policy};

/// States of connections of sockets that may be silent.
const SILENT: [State; 3] = [
    State::TcpEstablished,
    State::TcpClosing,
    State::UdpEstablished,
];

/// Shortest time between two looks at all sockets.
const SHORTEST: Duration = Duration::from_secs(2);

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
            let keeping = self
                .observe(move |observer, _| keep_silent(&observer.pins, &current.image))
                .await;
            match keeping {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    warn!(%error, "flows of silent connections may end before their sockets");
                }
                Err(error) => warn!(%error, "silent connections were not looked at"),
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
