//! A real sshd, and logging in to it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::{Output, Process};
use crate::machine::scratch::Scratch;
use crate::net::socket::Outcome;
use crate::net::station::HOST;

/// The port of SSH.
pub const PORT: u16 = 22;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client waits for a connection.
const CONNECT_SECONDS: u32 = 3;

/// Tries a connection to the host's SSH, and closes it again.
pub fn connect(from: &Namespace, timeout: Duration) -> Result<Outcome> {
    from.tcp_connect((HOST.v4, PORT), timeout)
}

/// A running sshd with keys of its own. Dropping it stops it; sessions end with their namespace.
#[derive(Debug)]
pub struct Sshd {
    process: Process,
    keys: Scratch,
    port: u16,
}

impl Sshd {
    /// Starts one on port 22.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        Self::start_on(namespace, PORT)
    }

    /// Starts one on any port.
    pub fn start_on(namespace: &Namespace, port: u16) -> Result<Self> {
        let keys = Scratch::new("ssh")?;
        for name in ["host", "user"] {
            let path = keys.join(name).display().to_string();
            namespace.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path])?;
        }
        let mut command = Command::new(daemon()?);
        command.args(["-D", "-e", "-f", "/dev/null"]);
        for setting in [
            format!("Port={port}"),
            format!("HostKey={}", keys.join("host").display()),
            format!("AuthorizedKeysFile={}", keys.join("user.pub").display()),
            "PidFile=none".to_owned(),
            "StrictModes=no".to_owned(),
            "UsePAM=no".to_owned(),
            "UseDNS=no".to_owned(),
            "PasswordAuthentication=no".to_owned(),
            "PermitRootLogin=prohibit-password".to_owned(),
        ] {
            command.args(["-o", &setting]);
        }
        let mut process = namespace.spawn(&command)?;
        process.wait_for("Server listening on", START_TIMEOUT)?;
        Ok(Self {
            process,
            keys,
            port,
        })
    }

    /// Runs a command over SSH from another namespace, however that ends. A client that gets no
    /// connection or no login ends with status 255.
    pub fn login(&self, from: &Namespace, to: impl Into<IpAddr>, remote: &str) -> Result<Output> {
        from.output(&self.client(to, remote)?)
    }

    /// Opens a session that stays: the remote command runs until the returned process is dropped.
    pub fn session(
        &self,
        from: &Namespace,
        to: impl Into<IpAddr>,
        remote: &str,
    ) -> Result<Process> {
        from.spawn(&self.client(to, remote)?)
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    fn client(&self, to: impl Into<IpAddr>, remote: &str) -> Result<Command> {
        let key = self.keys.join("user").display().to_string();
        let timeout = format!("ConnectTimeout={CONNECT_SECONDS}");
        let mut command = argv(&["ssh", "-F", "none", "-i", &key, "-o", "BatchMode=yes"])?;
        command
            .args(["-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"])
            .args([
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
                "-o",
                &timeout,
            ])
            .args([
                "-p",
                &self.port.to_string(),
                "-l",
                "root",
                &to.into().to_string(),
                remote,
            ]);
        Ok(command)
    }
}

/// sshd starts itself again and wants to be called by its full path.
fn daemon() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("there is no PATH")?;
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    let found = folders.find(|folder| folder.join("sshd").is_file());
    ensure!(
        found.is_some(),
        "sshd is not installed; run: cargo xtask setup test"
    );
    Ok(found.unwrap_or_default().join("sshd"))
}
