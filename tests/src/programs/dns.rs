//! DNS queries, with dig.

use std::net::IpAddr;

use anyhow::Result;

use crate::machine::namespace::{Namespace, argv};

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// Addresses of a name, by one query with a timeout of a second; none without an answer.
pub fn lookup(
    from: &Namespace,
    resolver: IpAddr,
    name: &str,
    over: Transport,
) -> Result<Vec<IpAddr>> {
    let resolver = format!("@{resolver}");
    let over = match over {
        Transport::Udp => "+notcp",
        Transport::Tcp => "+tcp",
    };
    let command = argv(&[
        "dig", "+short", "+time=1", "+tries=1", over, &resolver, name, "A", name, "AAAA",
    ])?;
    let output = from.output(&command)?;
    let lines = output.stdout.lines();
    Ok(lines.filter_map(|line| line.parse().ok()).collect())
}
