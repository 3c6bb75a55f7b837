//! Asking a resolver, with dig.

use std::net::IpAddr;

use anyhow::Result;

use crate::machine::namespace::{Namespace, argv};

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// By one datagram.
    Udp,
    /// By a connection.
    Tcp,
}

/// Addresses of a name, by one question of a second's patience; none without an answer.
pub fn lookup(from: &Namespace, resolver: IpAddr, name: &str, over: Over) -> Result<Vec<IpAddr>> {
    let resolver = format!("@{resolver}");
    let over = match over {
        Over::Udp => "+notcp",
        Over::Tcp => "+tcp",
    };
    let command = argv(&[
        "dig", "+short", "+time=1", "+tries=1", over, &resolver, name, "A", name, "AAAA",
    ])?;
    let output = from.output(&command)?;
    let lines = output.stdout.lines();
    Ok(lines.filter_map(|line| line.parse().ok()).collect())
}
