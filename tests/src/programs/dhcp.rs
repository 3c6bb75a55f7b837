//! dhcpcd: a real client of DHCP, for IPv4 and IPv6.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::scratch::Scratch;

/// Where it keeps leases; a file system of the test's own hides those of the machine.
const LEASES: &str = "/var/lib/dhcpcd";

/// Only leases, and without delays: no resolv.conf, no probes, no routers, no default route.
const CONFIG: &str = "\
nohook resolv.conf
noipv4ll
noarp
noipv6rs
nodelay
nogateway
interface eth0
  ia_na 1
";

/// A running client of `eth0`. Dropping it stops it.
#[derive(Debug)]
pub struct Client {
    process: Process,
    _folder: Scratch,
}

impl Client {
    /// Starts one; it asks for leases at once.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let folder = Scratch::new("dhcp")?;
        let config = folder.write("dhcpcd.conf", CONFIG)?;
        namespace.run(&["mount", "-t", "tmpfs", "none", LEASES])?;
        let mut command = argv(&["dhcpcd", "--nobackground", "--debug"])?;
        command
            .args(["--script", "/bin/true", "--config"])
            .arg(config)
            .arg("eth0");
        Ok(Self {
            process: namespace.spawn(&command)?,
            _folder: folder,
        })
    }

    /// Waits until both leases are in use.
    pub fn await_leases(&mut self, patience: Duration) -> Result<()> {
        self.process.wait_for("/bin/true BOUND\n", patience)?;
        self.process.wait_for("/bin/true BOUND6\n", patience)
    }

    /// Renews both leases, and waits until they are.
    pub fn renew(&mut self, patience: Duration) -> Result<()> {
        self.process.signal(Signal::SIGUSR1)?;
        self.process.wait_for("/bin/true RENEW\n", patience)?;
        self.process.wait_for("/bin/true RENEW6\n", patience)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr() + &self.process.stdout()
    }
}
