//! The VIM's message bus.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Result;
use harness::net::stack_counter::StackCounter;
use harness::net::station::{INTRUDER, Station, VIM};
use harness::programs::amqp::{self, Broker, Client};
use harness::{Agent, Namespace, Topology};

use crate::{PATIENCE, SHORT, addresses, outbound, packets_from_host, take_vim_address};

/// A broker that has just started is slow.
const BROKER_PATIENCE: Duration = Duration::from_secs(20);

/// A client with a short timeout.
fn client(namespace: &Namespace, station: Station) -> Client<'_> {
    Client {
        namespace,
        broker: station.v4.into(),
        patience: SHORT,
    }
}

/// The first bytes of a client to a listener.
fn greeting(impostor: &TcpListener) -> Result<Vec<u8>> {
    let (mut stream, _) = impostor.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut said = vec![0; amqp::GREETING.len()];
    stream.read_exact(&mut said)?;
    Ok(said)
}

/// Whether no connection waits to be accepted.
fn nobody_came(impostor: &TcpListener) -> Result<bool> {
    impostor.set_nonblocking(true)?;
    let came = impostor.accept();
    Ok(came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
}

#[test]
fn messages_pass_through_the_vims_broker() -> Result<()> {
    let scene = Topology::new()?;
    let _broker = Broker::start(&scene.vim)?;
    let _agent = Agent::start(&scene.host, &outbound("[amqp]", "{}"))?;
    for broker in addresses(VIM) {
        let client = Client {
            namespace: &scene.host,
            broker,
            patience: BROKER_PATIENCE,
        };
        assert!(client.declare("instances")?, "{broker}");
        assert!(client.publish("instances", "compute-17 is up")?, "{broker}");
        let message = client.consume("instances")?;
        assert_eq!(message.as_deref(), Some("compute-17 is up"), "{broker}");
    }
    Ok(())
}

#[test]
fn an_impostor_at_another_address_receives_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let impostor = scene.intruder.tcp_listener((INTRUDER.v4, amqp::PORT))?;
    let client = client(&scene.host, INTRUDER);
    assert!(!client.publish("instances", "secret")?);
    assert_eq!(greeting(&impostor)?, amqp::GREETING, "without the agent");

    let agent = Agent::start(&scene.host, &outbound("[amqp]", "{}"))?;
    let before = agent.counters()?.refused_out();
    let received = packets_from_host(&scene.intruder, || {
        assert!(!client.publish("instances", "secret")?);
        Ok(())
    })?;
    assert!(nobody_came(&impostor)?);
    assert_eq!(received, 0);
    assert!(agent.counters()?.refused_out() > before);
    Ok(())
}

#[test]
fn an_impostor_at_the_vims_address_is_not_let_in() -> Result<()> {
    let scene = Topology::new()?;
    take_vim_address(&scene)?;
    let impostor = scene.intruder.tcp_listener((VIM.v4, amqp::PORT))?;
    let client = client(&scene.host, VIM);
    assert!(!client.publish("instances", "secret")?);
    assert_eq!(greeting(&impostor)?, amqp::GREETING, "without the agent");

    let agent = Agent::start(&scene.host, &outbound("[amqp]", "{}"))?;
    let answers = StackCounter::of(&scene.host, VIM.v4)?;
    assert!(!client.publish("instances", "secret")?);
    assert!(nobody_came(&impostor)?);
    assert_eq!(answers.packets()?, 0);
    agent.await_any("*", "wrong-mac")
}
