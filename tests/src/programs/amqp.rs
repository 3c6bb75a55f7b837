//! A real message bus: `RabbitMQ`, and librabbitmq's clients.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::scratch::Scratch;
use crate::machine::wait;
use crate::net::socket::Outcome;

/// The port of AMQP without TLS.
pub const PORT: u16 = 5672;

/// The first bytes of a client (AMQP 0-9-1, 4.2.2).
pub const GREETING: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// The one on `PATH` switches to another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// The port of epmd, Erlang's port mapper.
const MAPPER_PORT: u16 = 4369;

/// It takes 4 s on an idle machine, and 12 s on a busy one.
const START_TIMEOUT: Duration = Duration::from_secs(50);

/// The broker listens to everyone, and lets its default user in from everywhere.
const CONFIG: &str = "loopback_users = none\n";

/// A running broker. Dropping it stops it.
#[derive(Debug)]
pub struct Broker {
    _server: Process,
    _mapper: Process,
    _folder: Scratch,
}

impl Broker {
    /// Starts one, and waits until it serves.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let mapper = start_mapper(namespace)?;
        let folder = Scratch::new("amqp")?;
        let mut server = namespace.spawn(&command(&folder)?)?;
        server
            .wait_for("Server startup complete", START_TIMEOUT)
            .context("starting RabbitMQ")?;
        Ok(Self {
            _server: server,
            _mapper: mapper,
            _folder: folder,
        })
    }
}

/// Starts epmd. Erlang would start it as a daemon, which outlives a killed test.
fn start_mapper(namespace: &Namespace) -> Result<Process> {
    let mapper = namespace.spawn(&Command::new("epmd"))?;
    let address = (Ipv4Addr::LOCALHOST, MAPPER_PORT);
    wait::until(&Outcome::Connected, START_TIMEOUT, || {
        namespace.tcp_connect(address, START_TIMEOUT)
    })
    .context("starting epmd")?;
    Ok(mapper)
}

/// The broker's command. It writes into the folder only, and runs without a shell around it.
fn command(folder: &Scratch) -> Result<Command> {
    let config = folder.write("rabbitmq.conf", CONFIG)?;
    let mut command = Command::new(SERVER);
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("RABBITMQ_NODENAME", "rabbit@localhost")
        .env("RABBITMQ_CONFIG_FILE", config)
        .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_LOGS", "-")
        // Without this a shell stays its parent.
        .env("RUNNING_UNDER_SYSTEMD", "true");
    Ok(command)
}

/// A client of a broker.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Where it runs.
    pub namespace: &'a Namespace,
    /// The broker's address.
    pub broker: IpAddr,
    /// How long it waits for an answer.
    pub patience: Duration,
}

impl Client<'_> {
    /// Makes a queue; returns whether there was an answer.
    pub fn declare(&self, queue: &str) -> Result<bool> {
        Ok(self.run("amqp-declare-queue", &["-q", queue])?.is_some())
    }

    /// Puts a message into a queue; returns whether there was an answer.
    pub fn publish(&self, queue: &str, message: &str) -> Result<bool> {
        let words = ["-r", queue, "-b", message];
        Ok(self.run("amqp-publish", &words)?.is_some())
    }

    /// Takes a message out of a queue, if there was an answer.
    pub fn consume(&self, queue: &str) -> Result<Option<String>> {
        self.run("amqp-consume", &["-q", queue, "-c", "1", "cat"])
    }

    /// What a client's program prints, if it ends in time.
    fn run(&self, program: &str, words: &[&str]) -> Result<Option<String>> {
        let host = match self.broker {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let url = format!("--url=amqp://guest:guest@{host}:{PORT}");
        let command = argv(&[&[program, &url], words].concat())?;
        let mut process = self.namespace.spawn(&command)?;
        if process.wait(self.patience).is_err() {
            return Ok(None);
        }
        let output = process.finish(self.patience)?;
        ensure!(output.status.success(), "{program}: {}", output.stderr);
        Ok(Some(output.stdout))
    }
}
