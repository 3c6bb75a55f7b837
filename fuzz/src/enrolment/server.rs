//! QUIC as the agent is set up for it, with datagrams from memory instead of a socket.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use manoward::enrolment::{Config, Files, StaleCrl};
use manoward_pki::{Authority, Name, Options, Request};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Incoming, ServerConfig,
    Transmit,
};

use super::initial::Sealer;

/// Most datagrams of one input.
const DATAGRAMS: usize = 16;
/// Pauses before a datagram, milliseconds.
const PAUSES: [u64; 4] = [0, 0, 1_000, 20_000];
/// Bytes that a server may send to an unvalidated address for each byte received (RFC 9000,
/// section 8).
const AMPLIFICATION: usize = 3;

/// Datagrams, each behind a byte for its source and pause, and two bytes of length.
pub fn datagrams(data: &[u8]) {
    let mut host = Host::new();
    let mut rest = data;
    for _ in 0..DATAGRAMS {
        let Some((&[head, high, low], behind)) = rest.split_first_chunk() else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (datagram, behind) = behind.split_at(behind.len().min(length));
        rest = behind;
        host.wait(PAUSES[usize::from(head & 3)]);
        host.receive(head >> 2, datagram);
    }
}

/// Frames for Initial packets; those of each packet behind a byte for its source and pause, and two
/// bytes of length.
pub fn initials(data: &[u8]) {
    let mut host = Host::new();
    let mut sealer = Sealer::new(*b"endpoint");
    let mut rest = data;
    for _ in 0..DATAGRAMS {
        let Some((&[head, high, low], behind)) = rest.split_first_chunk() else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (frames, behind) = behind.split_at(behind.len().min(length));
        rest = behind;
        host.wait(PAUSES[usize::from(head & 3)]);
        host.receive(head >> 2, &sealer.seal(frames));
    }
}

/// A host that listens.
struct Host {
    endpoint: Endpoint,
    connections: Vec<(ConnectionHandle, Connection)>,
    now: Instant,
    received: usize,
    sent: usize,
}

impl Host {
    fn new() -> Self {
        let (settings, config) = settings();
        Self {
            endpoint: Endpoint::new(
                Arc::clone(settings),
                Some(Arc::clone(config)),
                false,
                Some([7; 32]),
            ),
            connections: Vec::new(),
            now: Instant::now(),
            received: 0,
            sent: 0,
        }
    }

    /// Lets time pass.
    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        for (_, connection) in &mut self.connections {
            if connection.poll_timeout().is_some_and(|at| at <= self.now) {
                connection.handle_timeout(self.now);
            }
        }
        self.work();
    }

    /// Takes a datagram. The lowest bit of `from` asks for a Retry where the agent would send one,
    /// the others choose the source.
    fn receive(&mut self, from: u8, datagram: &[u8]) {
        let port = 40_000 + u16::from(from >> 1 & 3);
        let remote = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 10), port));
        let mut out = Vec::new();
        let event = self.endpoint.handle(
            self.now,
            remote,
            Some(Ipv4Addr::new(192, 0, 2, 17).into()),
            None,
            BytesMut::from(datagram),
            &mut out,
        );
        self.received += datagram.len();
        match event {
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(incoming, from & 1 != 0),
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some((_, connection)) = self.connection(handle) {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(answer)) => self.answered(&answer, datagram.len()),
            None => {}
        }
        self.work();
    }

    fn accept(&mut self, incoming: Incoming, retry: bool) {
        let mut out = Vec::new();
        if retry && !incoming.remote_address_validated() {
            match self.endpoint.retry(incoming, &mut out) {
                Ok(answer) => self.answered(&answer, self.received),
                Err(error) => self.endpoint.ignore(error.into_incoming()),
            }
            return;
        }
        match self.endpoint.accept(incoming, self.now, &mut out, None) {
            Ok(accepted) => self.connections.push(accepted),
            Err(error) => {
                if let Some(answer) = error.response {
                    self.answered(&answer, self.received);
                }
            }
        }
    }

    fn connection(
        &mut self,
        handle: ConnectionHandle,
    ) -> Option<&mut (ConnectionHandle, Connection)> {
        let mut connections = self.connections.iter_mut();
        connections.find(|(other, _)| *other == handle)
    }

    /// A stateless answer must not be longer than what it answers.
    fn answered(&mut self, answer: &Transmit, asked: usize) {
        assert!(answer.size <= asked, "{} for {asked}", answer.size);
        self.sent += answer.size;
        self.check_amplification();
    }

    /// Does what the tasks of the agent's runtime do.
    fn work(&mut self) {
        for (handle, connection) in &mut self.connections {
            while connection.poll().is_some() {}
            let mut out = Vec::new();
            while let Some(transmit) = connection.poll_transmit(self.now, 1, &mut out) {
                self.sent += transmit.size;
                out.clear();
            }
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
            }
        }
        self.connections
            .retain(|(_, connection)| !connection.is_drained());
        self.check_amplification();
    }

    /// No address is validated here, so the amplification limit always holds.
    fn check_amplification(&self) {
        assert!(
            self.sent <= AMPLIFICATION * self.received,
            "{} bytes sent for {}",
            self.sent,
            self.received
        );
    }
}

/// The agent's QUIC settings, with a host's certificate made for this.
fn settings() -> &'static (Arc<EndpointConfig>, Arc<ServerConfig>) {
    static SETTINGS: OnceLock<(Arc<EndpointConfig>, Arc<ServerConfig>)> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let authority = directory.path().join("ca");
        let authority = Authority::create(&authority, &Options::default());
        let authority = authority.expect("an authority can be made");
        let name = Name::dns("host.example").expect("it is a name");
        let issued = authority.issue(&Request::host("host", [name]), directory.path());
        let issued = issued.expect("a certificate can be made");
        let config = Config::new(Files {
            certificate: issued.certificate,
            key: issued.key,
            ca: authority.bundle().to_owned(),
            crls: Vec::new(),
            stale_crl: StaleCrl::Refuse,
        });
        let (settings, config) = config.quic().expect("what was issued can be used");
        (Arc::new(settings), Arc::new(config))
    })
}
