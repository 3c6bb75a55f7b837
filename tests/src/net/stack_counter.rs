//! Counts what gets past the programs at the interface, with nftables.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::machine::namespace::Namespace;

/// Counts the packets of sources that arrive in a host's network stack.
#[derive(Debug)]
pub struct StackCounter<'a> {
    host: &'a Namespace,
    table: String,
}

impl<'a> StackCounter<'a> {
    /// Counts the packets of one source from now on.
    pub fn of(host: &'a Namespace, source: impl Into<IpAddr>) -> Result<Self> {
        Self::of_any(host, &[source.into()])
    }

    /// Counts the packets of several sources from now on.
    pub fn of_any(host: &'a Namespace, sources: &[IpAddr]) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let table = format!("seen{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let counted: Vec<_> = sources
            .iter()
            .map(|source| {
                let family = if source.is_ipv4() { "ip" } else { "ip6" };
                format!("{family} saddr {source} counter name seen;\n")
            })
            .collect();
        // Neighbour discovery does not count. Before defragmentation (-400), every fragment does.
        let rules = format!(
            "table inet {table} {{ counter seen {{ }}; chain arrival {{\n\
             type filter hook prerouting priority -450;\n\
             icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept;\n\
             {} }}; }}\n",
            counted.concat()
        );
        host.feed(&["nft", "-f", "-"], &rules)?;
        Ok(Self { host, table })
    }

    /// Packets so far.
    pub fn packets(&self) -> Result<u64> {
        let words = [
            "nft",
            "--json",
            "list",
            "counter",
            "inet",
            &self.table,
            "seen",
        ];
        let listed = self.host.run(&words)?;
        let listed: serde_json::Value = serde_json::from_str(&listed).context("reading nft")?;
        let counters = listed["nftables"].as_array();
        counters
            .into_iter()
            .flatten()
            .find_map(|entry| entry["counter"]["packets"].as_u64())
            .with_context(|| format!("no counter in {listed}"))
    }
}
