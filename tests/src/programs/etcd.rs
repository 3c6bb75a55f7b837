//! etcd: a cluster that elects another leader as soon as the present one is silent for a second.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::scratch::Scratch;
use crate::machine::wait;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Milliseconds after which a member that does not hear of its leader calls for an election; a
/// leader tells of itself ten times in that time.
const ELECTION: &str = "1000";

/// A machine of a cluster, and the address that the others reach it at.
pub type Place<'a> = (&'a Namespace, IpAddr);

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster<'a> {
    places: Vec<Place<'a>>,
    _members: Vec<Process>,
    _data: Scratch,
}

impl<'a> Cluster<'a> {
    /// Starts one with a member at each place, and waits until all of them are well.
    pub fn start(places: &[Place<'a>]) -> Result<Self> {
        let data = Scratch::new("etcd")?;
        let peers = places.iter().map(|(_, address)| {
            let name = name(*address);
            format!("{name}={}", url(*address, 2380))
        });
        let peers = peers.collect::<Vec<_>>().join(",");
        let members = places.iter().map(|&(namespace, address)| {
            let folder = data.join(&name(address));
            let (clients, others) = (url(address, 2379), url(address, 2380));
            namespace.spawn(&argv(&[
                "etcd",
                "--name",
                &name(address),
                "--data-dir",
                &folder.to_string_lossy(),
                "--listen-client-urls",
                &clients,
                "--advertise-client-urls",
                &clients,
                "--listen-peer-urls",
                &others,
                "--initial-advertise-peer-urls",
                &others,
                "--initial-cluster",
                &peers,
                "--election-timeout",
                ELECTION,
                "--heartbeat-interval",
                "100",
                // What is asked here is how the network is, and not how the disk is.
                "--unsafe-no-fsync",
            ])?)
        });
        let cluster = Self {
            places: places.to_vec(),
            _members: members.collect::<Result<_>>()?,
            _data: data,
        };
        wait::until(&true, START_TIMEOUT, || {
            Ok(cluster.terms().is_ok_and(|terms| {
                terms.len() == places.len()
                    && terms.iter().all(|&term| term == terms[0] && term > 0)
            }))
        })?;
        Ok(cluster)
    }

    /// The term that each member is in: elections so far.
    pub fn terms(&self) -> Result<Vec<u64>> {
        let terms = self.places.iter().map(|&(namespace, address)| {
            let status = ctl(
                namespace,
                address,
                &["endpoint", "status", "--write-out=json"],
            )?;
            let status: Value = serde_json::from_str(&status)?;
            status[0]["Status"]["raftTerm"].as_u64().context("a term")
        });
        terms.collect()
    }

    /// Writes a value through each member, and reads it through the next.
    pub fn agrees(&self, value: &str) -> Result<bool> {
        for (index, &(namespace, address)) in self.places.iter().enumerate() {
            ctl(namespace, address, &["put", "key", value])?;
            let (next, there) = self.places[(index + 1) % self.places.len()];
            if ctl(next, there, &["get", "key", "--print-value-only"])?.trim() != value {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn name(address: IpAddr) -> String {
    format!("member-{}", address.to_string().replace([':', '.'], "-"))
}

fn url(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("http://{address}:{port}"),
        IpAddr::V6(address) => format!("http://[{address}]:{port}"),
    }
}

fn ctl(namespace: &Namespace, address: IpAddr, words: &[&str]) -> Result<String> {
    let endpoint = url(address, 2379);
    let mut all = vec!["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", &endpoint];
    all.extend(words);
    namespace.run(&all)
}
