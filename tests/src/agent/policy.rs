//! The policy that most tests begin with, and its variations.

use std::fmt;
use std::net::Ipv4Addr;

/// A policy. Each field but the serial is YAML: the value of the key with its name.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    /// The serial.
    pub serial: u64,
    /// Where traffic is admitted.
    pub interfaces: &'a str,
    /// The protected addresses.
    pub protect: &'a str,
    /// What happens to violations.
    pub mode: &'a str,
    /// The peers.
    pub endpoints: &'a str,
    /// Which roles may use which services.
    pub reference_points: &'a str,
    /// Services beside the catalogue.
    pub services: &'a str,
    /// Further lines, each with its name.
    pub more: &'a str,
}

/// The VIM may use TLS and SSH, the bastion SSH, and nobody anything else.
impl Default for Policy<'_> {
    fn default() -> Self {
        Self {
            serial: 1,
            interfaces: "[eth0]",
            protect: "[interface-addresses]",
            mode: "enforce",
            endpoints: "{
              vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] },
              bastion: { role: bastion, addresses: [198.51.100.0/28, \"2001:db8:0:51::/112\"] } }",
            reference_points: "{
              Nf-Vi: { from: [vim], services: [libvirt-tls, ssh, control] },
              operations: { from: [bastion], services: [ssh] } }",
            services: "{ control: { protocol: tcp, ports: [7000] } }",
            more: "",
        }
    }
}

impl fmt::Display for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "apiVersion: manoward/v1")?;
        writeln!(f, "name: host")?;
        writeln!(f, "serial: {}", self.serial)?;
        writeln!(f, "interfaces: {}", self.interfaces)?;
        writeln!(f, "protect: {}", self.protect)?;
        writeln!(f, "mode: {}", self.mode)?;
        writeln!(f, "endpoints: {}", self.endpoints)?;
        writeln!(f, "reference_points: {}", self.reference_points)?;
        writeln!(f, "services: {}", self.services)?;
        if self.more.is_empty() {
            return Ok(());
        }
        writeln!(f, "{}", self.more)
    }
}

/// The first address of [`crowd`]. The others follow in steps of two, so that the addresses between
/// them belong to no endpoint.
const FIRST: u32 = 0x0a00_0001;

/// The address of this number in [`crowd`].
#[must_use]
pub fn member(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST + 2 * number)
}

/// An endpoint `crowd` with `count` addresses, as YAML.
#[must_use]
pub fn crowd(count: u32) -> String {
    let addresses: Vec<_> = (0..count)
        .map(|number| member(number).to_string())
        .collect();
    format!(
        "crowd: {{ role: vim, addresses: [\n    {}\n  ] }}",
        addresses.join(",\n    ")
    )
}
