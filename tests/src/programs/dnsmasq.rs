//! dnsmasq: a real DHCP server and a real resolver.

use std::time::Duration;

use anyhow::Result;

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::scratch::Scratch;
use crate::net::station::Station;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest lease that it gives.
const LEASE: &str = "2m";

/// A running dnsmasq. Dropping it stops it.
#[derive(Debug)]
pub struct Dnsmasq {
    process: Process,
    _folder: Scratch,
}

impl Dnsmasq {
    /// One that leases a station its addresses, and them alone.
    pub fn leasing(namespace: &Namespace, interface: &str, to: &Station) -> Result<Self> {
        let (v4, v6) = (to.v4, to.v6);
        let options = [
            format!("--interface={interface}"),
            "--bind-interfaces".to_owned(),
            "--port=0".to_owned(),
            "--log-dhcp".to_owned(),
            "--dhcp-authoritative".to_owned(),
            "--no-ping".to_owned(),
            format!("--dhcp-range={v4},{v4},{LEASE}"),
            format!("--dhcp-range={v6},{v6},64,{LEASE}"),
        ];
        Self::start(namespace, &options)
    }

    /// One that knows a name and its addresses.
    pub fn resolving(namespace: &Namespace, name: &str, addresses: &Station) -> Result<Self> {
        let record = format!("--host-record={name},{},{}", addresses.v4, addresses.v6);
        Self::start(namespace, &[record, "--log-queries".to_owned()])
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Waits until it has logged a text.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> Result<()> {
        self.process.wait_for(text, timeout)
    }

    fn start(namespace: &Namespace, options: &[String]) -> Result<Self> {
        let folder = Scratch::new("dnsmasq")?;
        let mut command = argv(&["dnsmasq", "--no-daemon", "--conf-file=/dev/null"])?;
        command
            .args(["--user=root", "--no-resolv", "--no-hosts", "--pid-file"])
            .arg(format!(
                "--dhcp-leasefile={}",
                folder.join("leases").display()
            ))
            .args(options);
        let mut process = namespace.spawn(&command)?;
        process.wait_for("started, version", START_TIMEOUT)?;
        Ok(Self {
            process,
            _folder: folder,
        })
    }
}
