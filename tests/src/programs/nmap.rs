//! nmap: port scans.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};

use crate::machine::namespace::Namespace;

/// No name service, no question whether the host is up, one probe for every port.
const QUICK: [&str; 8] = [
    "-n",
    "-Pn",
    "-T5",
    "--max-retries=0",
    "--min-rate=200",
    "--reason",
    "-oG",
    "-",
];

/// Scans ports (in nmap's notation) with these options; returns nmap's state of each.
pub fn scan(
    from: &Namespace,
    host: IpAddr,
    options: &[&str],
    ports: &str,
) -> Result<BTreeMap<u16, String>> {
    let host_text = host.to_string();
    let family: &[&str] = if host.is_ipv6() { &["-6"] } else { &[] };
    let words = [
        &["nmap"],
        &QUICK[..],
        family,
        options,
        &["-p", ports, &host_text],
    ]
    .concat();
    let listed = from.run(&words)?;
    states(&listed).with_context(|| format!("reading nmap {options:?}: {listed}"))
}

/// The states in a line such as `Host: 192.0.2.17 () Ports: 22/filtered/tcp//ssh///, ...`.
fn states(listed: &str) -> Option<BTreeMap<u16, String>> {
    let (_, ports) = listed.split_once("Ports: ")?;
    let ports = ports.split(['\t', '\n']).next()?;
    let states = ports.split(", ").map(|port| {
        let mut fields = port.split('/');
        let number = fields.next()?.trim().parse().ok()?;
        Some((number, fields.next()?.to_owned()))
    });
    states.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_grepable_output() {
        let listed = "# Nmap\nHost: 192.0.2.17 ()\tStatus: Up\n\
                      Host: 192.0.2.17 ()\tPorts: 22/open/tcp//ssh///, 53/open|filtered/udp//domain///\n";
        let states = states(listed).expect("it is well-formed");
        let expected = [(22, "open".to_owned()), (53, "open|filtered".to_owned())];
        assert_eq!(states, BTreeMap::from(expected));
        assert_eq!(super::states("nothing"), None);
    }
}
