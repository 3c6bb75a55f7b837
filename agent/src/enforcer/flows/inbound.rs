//! Connections that peers have begun.
//!
//! Of TCP the kernel's sockets are the truth: what was remembered only tells since when. A connection of
//! another protocol, or of an address that this host does not have, is known from memory alone.

use std::collections::BTreeMap;

use verdict::{
    frame::transport::IpProtocol,
    state::{
        flow::{Key, State, key::CONNECTION, table},
        served::Served,
    },
};

use super::{Current, OpenFlow, addresses};
use crate::{
    datapath::{
        flows::{self, Snapshot, duration},
        sockets::{Progress, TcpSocket},
    },
    policy::Direction,
};

/// The key of a socket's connection; `None` if its addresses are of two families.
pub(super) fn key(socket: &TcpSocket) -> Option<Key> {
    flows::key(CONNECTION, IpProtocol::TCP.0, socket.local, socket.remote)
}

/// The connections that peers have begun with a protected address.
pub(super) fn connections<'a>(
    snapshot: &'a Snapshot,
    current: &'a Current,
    sockets: &'a [TcpSocket],
) -> impl Iterator<Item = OpenFlow> + 'a {
    let remembered: Vec<Served> = snapshot.served().collect();
    let begun: BTreeMap<_, _> = remembered
        .iter()
        .map(|served| (served.key.to_words(), served.begun))
        .collect();
    let protected = current.protected();
    let sockets = sockets
        .iter()
        .filter(move |socket| protected.contains(&socket.local.ip()))
        .filter_map(move |socket| {
            let key = key(socket)?;
            let begun = begun.get(&key.to_words());
            // What was seen to begin does not need a listener any more.
            (socket.is_served || begun.is_some()).then(|| OpenFlow {
                key,
                direction: Direction::Inbound,
                state: state(socket.progress),
                age: begun.map(|&begun| duration(snapshot.since(begun))),
                idle: Some(socket.idle),
                expires: None,
                bytes: Some([socket.sent, socket.received]),
            })
        });
    let others = remembered
        .into_iter()
        .filter_map(move |served| from_memory(served, snapshot, current));
    sockets.chain(others)
}

const fn state(progress: Progress) -> State {
    match progress {
        Progress::Opening => State::TcpOpening,
        Progress::Established => State::TcpEstablished,
        Progress::Closing => State::TcpClosing,
    }
}

/// A connection of which only the memory tells, if it has not been silent for too long.
fn from_memory(served: Served, snapshot: &Snapshot, current: &Current) -> Option<OpenFlow> {
    let [local, _] = addresses(&served.key);
    let state = match IpProtocol(served.key.protocol()) {
        IpProtocol::TCP if current.facts.addresses.contains(&local) => return None,
        IpProtocol::TCP => State::TcpEstablished,
        IpProtocol::SCTP => State::SctpEstablished,
        IpProtocol::UDP => State::UdpEstablished,
        IpProtocol::ICMP | IpProtocol::ICMPV6 => State::Echo,
        _ => State::OtherEstablished,
    };
    let idle = snapshot.since(served.refreshed);
    let lasts = table::timeout(&current.image, state.code()).unwrap_or(0);
    // Segments do not refresh it.
    let refreshed = !matches!(state, State::TcpEstablished | State::SctpEstablished);
    (idle <= lasts).then(|| OpenFlow {
        key: served.key,
        direction: Direction::Inbound,
        state,
        age: Some(duration(snapshot.since(served.begun))),
        idle: refreshed.then(|| duration(idle)),
        expires: None,
        bytes: None,
    })
}
