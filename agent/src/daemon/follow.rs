//! Follows the host: its interfaces, their filters and addresses.

use std::{future::poll_fn, io, time::Duration};

use anyhow::Context as _;
use bytes::BytesMut;
use rtnetlink::{
    MulticastGroup,
    sys::{AsyncSocket as _, TokioSocket, protocols::NETLINK_ROUTE},
};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::{
    datapath::interface::Interfaces,
    enforcer::{Enforcer, Handle},
    pulse::Pulse,
};

/// Time between two looks at what is pinned, and at what could not be read before.
const LOOK: Duration = Pulse::BEAT;

/// A change is followed at once; those that come within this time after it, together.
const SETTLE: Duration = Duration::from_millis(200);

/// Waits until the trial of a policy is over; forever if there is none now.
async fn trial_over(enforcer: &Handle) {
    match &enforcer.view().trial {
        // Not a moment before the programs in the kernel.
        Some(trial) => tokio::time::sleep(trial.left() + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}

/// News of interfaces, their filters and addresses: that there are some, however many. What they say is asked for
/// anew, so none of them is kept, and those that the kernel has no room for are not missed.
pub(super) struct Changes(TokioSocket);

impl Changes {
    /// Subscribes; nothing that happens from now on is missed.
    pub(super) fn watch() -> anyhow::Result<Self> {
        let subscribe = || {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            socket.socket_mut().bind_auto()?;
            for group in [
                MulticastGroup::Link,
                MulticastGroup::Tc,
                MulticastGroup::Ipv4Ifaddr,
                MulticastGroup::Ipv6Ifaddr,
            ] {
                socket.socket_mut().add_membership(group as u32)?;
            }
            io::Result::Ok(socket)
        };
        let socket = subscribe().context("cannot watch the host's interfaces")?;
        Ok(Self(socket))
    }

    /// Waits for one. An error is one, too: the kernel had no room for some (ENOBUFS).
    async fn next(&self) {
        let mut message = BytesMut::with_capacity(1);
        let _ = poll_fn(|context| self.0.poll_recv(context, &mut message)).await;
    }

    /// Leaves out those that are there.
    fn skip(&self) {
        let mut message = BytesMut::with_capacity(1);
        while self.0.socket_ref().recv(&mut message, 0).is_ok() {
            message.clear();
        }
    }

    /// Adapts what is enforced to every change, and keeps it pinned.
    pub(super) async fn follow(self, enforcer: Handle, pulse: Pulse) {
        let mut looking = tokio::time::interval(LOOK);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = false;
        loop {
            pulse.beat();
            let changed = tokio::select! {
                () = self.next() => true,
                _ = looking.tick() => false,
                () = trial_over(&enforcer) => false,
            };
            if changed {
                // What was told of until now is read now.
                self.skip();
            }
            let interfaces = if changed || missed {
                let read = Interfaces::read().await;
                missed = read.is_err();
                read.inspect_err(|error| {
                    warn!(%error, "cannot read the host's interfaces, trying again");
                })
                .ok()
            } else {
                None
            };
            let work = |enforcer: &mut Enforcer| {
                enforcer.keep();
                if let Some(interfaces) = interfaces {
                    enforcer.follow(interfaces);
                }
            };
            if let Err(error) = enforcer.change(work).await {
                warn!(%error, "the host's changes were not followed");
            }
            if changed {
                tokio::time::sleep(SETTLE).await;
            }
        }
    }
}
