//! Accepts QUIC connections: from the first packet to a session or a refusal.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use jiff::Timestamp;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{
    Claim, Grant,
    client::Refused,
    config::HANDSHAKE,
    facts::Certificate,
    gate::Permit,
    log::{Known, Log},
    refusal::{Reason, Refusal},
    session,
    sessions::Session,
    shared::Shared,
    trust::Trust,
    wire::{self, Answer, Hello, Place, WireError},
};

/// Accepts connections until the endpoint is closed.
///
/// A source whose address is not validated gets a Retry (RFC 9000, section 8.1.2), which needs no
/// state. So memory and cryptography are spent only on sources that receive at the address they
/// send from.
pub(super) async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    let Ok(listening) = endpoint.local_addr() else {
        return;
    };
    while let Some(incoming) = endpoint.accept().await {
        if !incoming.remote_address_validated() {
            shared.counters.retries.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            continue;
        }
        let from = incoming.remote_address();
        let to = local(incoming.local_ip(), listening);
        let Some(permit) = shared.gate.enter(from.ip()) else {
            incoming.refuse();
            let refusal = Refusal::new(Reason::RateLimited, "too many handshakes in progress");
            refused(&shared, from, to, Known::default(), &refusal);
            continue;
        };
        shared.counters.handshakes.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(handshake(incoming, permit, to, Arc::clone(&shared)));
    }
}

/// The local address of a connection: `told`, the packet's destination, if the kernel reports it;
/// otherwise the one that the socket is bound to.
fn local(told: Option<IpAddr>, listening: SocketAddr) -> SocketAddr {
    let address = told.unwrap_or_else(|| listening.ip());
    SocketAddr::new(address.to_canonical(), listening.port())
}

/// A connection whose peer has proven that it holds a certificate's key.
struct Proven {
    connection: Connection,
    chain: Arc<[CertificateDer<'static>]>,
    /// Until when the chain is valid.
    until: Timestamp,
    /// What the certificate was verified with.
    trust: Arc<Trust>,
}

/// An endpoint's first message, and the stream to answer it on.
type Greeting = (SendStream, RecvStream, Hello);

/// Runs one handshake, and the session after it.
async fn handshake(incoming: Incoming, mut permit: Permit, to: SocketAddr, shared: Arc<Shared>) {
    let from = incoming.remote_address();
    let greeted = tokio::select! {
        greeted = greet(incoming, &shared) => greeted,
        () = permit.evicted() => {
            let sentence = "too many handshakes in progress: this one, the oldest of its address, made room for a new one";
            Err(Refusal::new(Reason::RateLimited, sentence).into())
        }
    };
    drop(permit);
    match greeted {
        Ok((proven, greeting)) => claim(proven, greeting, to, &shared).await,
        Err(Refused { refusal, shown }) => {
            refused(&shared, from, to, Known::of(shown.as_ref()), &refusal);
        }
    }
}

/// Waits for the handshake and the endpoint's first message.
async fn greet(incoming: Incoming, shared: &Shared) -> Result<(Proven, Greeting), Refused> {
    let deadline = Instant::now() + HANDSHAKE;
    let proven = prove(incoming, deadline, shared).await?;
    let connection = &proven.connection;
    let refusal = match timeout_at(deadline, hello(connection)).await {
        Ok(Ok(hello)) => return Ok((proven, hello)),
        Ok(Err(error)) => {
            connection.close(wire::PROTOCOL, b"not understood");
            match error {
                WireError::Connection(error) => Refusal::of_connection(&error),
                error => Refusal::new(Reason::Protocol, error.to_string()),
            }
        }
        Err(_) => {
            connection.close(wire::PROTOCOL, b"too slow");
            Refusal::new(Reason::Timeout, "no message after the handshake")
        }
    };
    let leaf = proven.chain.first();
    let shown = leaf.and_then(|leaf| Certificate::read(leaf).ok());
    Err(Refused { refusal, shown })
}

/// Waits for the handshake.
async fn prove(incoming: Incoming, deadline: Instant, shared: &Shared) -> Result<Proven, Refused> {
    let trust = shared.trust();
    let failed = |sentence| Refusal::new(Reason::Other, sentence);
    let (quic, witness) = trust.handshake().map_err(failed)?;
    let config = Arc::new(shared.connection(quic));
    let why = |error| match witness.take() {
        Some(Err(refused)) => refused,
        _ => Refusal::of_connection(&error).into(),
    };
    let connecting = incoming.accept_with(config).map_err(why)?;
    let connected = timeout_at(deadline, connecting).await;
    let late = |_| Refusal::new(Reason::Timeout, "the handshake took too long");
    let connection = connected.map_err(late)?.map_err(why)?;
    let none = || Refusal::new(Reason::NoCertificate, "no certificate");
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .ok_or_else(none)?;
    let until = witness.take().ok_or_else(none)??;
    Ok(Proven {
        connection,
        chain: (*chain).into(),
        until,
        trust,
    })
}

/// Waits for the endpoint's first message.
async fn hello(connection: &Connection) -> Result<Greeting, WireError> {
    let (send, mut receive) = connection
        .accept_bi()
        .await
        .map_err(WireError::Connection)?;
    let hello = wire::read(&mut receive).await?;
    Ok((send, receive, hello))
}

/// Has the claim decided, and runs the session if it is granted.
async fn claim(
    proven: Proven,
    (mut send, receive, hello): Greeting,
    to: SocketAddr,
    shared: &Arc<Shared>,
) {
    let Proven {
        connection,
        chain,
        until,
        trust,
    } = proven;
    let from = connection.remote_address();
    let read = chain.first().map(Certificate::read);
    let leaf = match read.unwrap_or_else(|| Err("no certificate".into())) {
        Ok(leaf) => leaf,
        Err(reason) => {
            let refusal = Refusal::new(Reason::Other, reason);
            refused(shared, from, to, Known::default(), &refusal);
            return refuse(&connection, &mut send, &refusal).await;
        }
    };
    let stated = match stated(&hello) {
        Ok(stated) => stated,
        Err(refusal) => {
            refused(shared, from, to, Known::of(Some(&leaf)), &refusal);
            return refuse(&connection, &mut send, &refusal).await;
        }
    };
    let (id, close) = shared.sessions.reserve(Arc::clone(&chain), until);
    // If files were read again since the handshake began, this session was not there to be verified then.
    let now = shared.trust();
    if !Arc::ptr_eq(&trust, &now) {
        shared.sessions.verify_one(id, &now);
    }
    let claim = Claim {
        session: id,
        remote: SocketAddr::new(from.ip().to_canonical(), from.port()),
        local: to.ip(),
        identities: leaf.identities,
        certificate: leaf.facts,
        chain,
        until,
        program: wire::shortened(&hello.program),
        stated,
    };
    let Admitted {
        grant,
        permit,
        alone,
    } = match admit(&claim, shared) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            shared.sessions.remove(id);
            refused(shared, from, to, Known::from(&claim), &refusal);
            return refuse(&connection, &mut send, &refusal).await;
        }
    };
    shared.counters.granted.fetch_add(1, Ordering::Relaxed);
    let session = Session::new(claim, to.port(), &grant);
    Log::granted(&session);
    shared.sessions.open(session.clone());
    shared.sessions.displace(&session, alone);
    let session = session::Live {
        session,
        connection,
        send,
        _receive: receive,
        close,
        _permit: permit,
    };
    session.follow(&grant, shared).await;
}

/// A claim that was granted.
struct Admitted {
    grant: Grant,
    permit: OwnedSemaphorePermit,
    /// Whether the session takes the place of the others of its identity at its address.
    alone: bool,
}

/// Where the endpoint says that it sends from, if it speaks this version of the protocol.
fn stated(hello: &Hello) -> Result<Place, Refusal> {
    if hello.version != wire::VERSION {
        let sentence = format!(
            "the endpoint uses protocol version {}, this host version {}",
            hello.version,
            wire::VERSION
        );
        return Err(Refusal::new(Reason::Protocol, sentence));
    }
    let silent = || {
        Refusal::new(
            Reason::Protocol,
            "the endpoint does not say where it sends from",
        )
    };
    hello.place.ok_or_else(silent)
}

/// Has the registrar decide, if another session may be open.
fn admit(claim: &Claim, shared: &Shared) -> Result<Admitted, Refusal> {
    let permit = Arc::clone(&shared.session_permits)
        .try_acquire_owned()
        .map_err(|_| {
            let most = shared.config.max_sessions;
            Refusal::new(
                Reason::TooManySessions,
                format!("the host has {most} sessions, which is its limit"),
            )
        })?;
    let scarce = shared.are_sessions_scarce();
    if scarce {
        let (identity, here) = shared
            .sessions
            .held_by(&claim.identities, claim.remote.ip());
        if identity && !here {
            let sentence = "the host has few places left, which are for identities that hold none";
            return Err(Refusal::new(Reason::TooManySessions, sentence));
        }
    }
    let grant = shared.registrar.admit(claim)?;
    Ok(Admitted {
        grant,
        permit,
        alone: scarce,
    })
}

/// Counts and logs a refusal, and reports it to the registrar.
fn refused(shared: &Shared, from: SocketAddr, to: SocketAddr, known: Known<'_>, refusal: &Refusal) {
    shared.counters.refused.fetch_add(1, Ordering::Relaxed);
    shared.log.refused(from, to, known, refusal);
    shared.registrar.refused(from, refusal);
}

/// Sends the refusal to the peer and closes the connection.
async fn refuse(connection: &Connection, send: &mut SendStream, refusal: &Refusal) {
    let answer = Answer::Refused {
        reason: refusal.reason.name().to_owned(),
        sentence: wire::shortened(&refusal.sentence),
    };
    session::tell(send, &answer).await;
    connection.close(wire::REFUSED, refusal.reason.name().as_bytes());
}
