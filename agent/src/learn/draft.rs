//! A draft of a policy: who was seen, and what was used.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};

use super::{Peer, Used};
use crate::policy::{
    Transport,
    catalogue::{CatalogueEntry, catalogue},
    protocol::{self, Mac},
};

/// A draft of a policy.
#[derive(Debug)]
pub struct Draft<'a> {
    peers: Vec<(IpAddr, &'a Peer)>,
}

/// Peers that are used for the same.
struct Group<'a> {
    role: String,
    uses: BTreeSet<Used>,
    peers: Vec<(IpAddr, &'a Peer)>,
}

/// What the draft says of the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Interfaces that the traffic of peers arrives on.
    pub interfaces: Vec<String>,
    /// Prefixes of its links, where MAC addresses are those of the peers.
    pub links: Vec<ipnet::IpNet>,
    /// For how long, and when, it was watched.
    pub watched: String,
    /// Whether peers that are used for the same and are near each other become one endpoint.
    pub grouped: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn of(peers: &'a BTreeMap<IpAddr, Peer>) -> Self {
        Self {
            peers: peers
                .iter()
                .map(|(&address, peer)| (address, peer))
                .collect(),
        }
    }

    /// How many peers there are.
    #[must_use]
    pub const fn peers(&self) -> usize {
        self.peers.len()
    }

    /// The policy, with comments.
    #[must_use]
    pub fn text(&self, host: &Host) -> String {
        let mut text = format!(
            "# A draft by `manoward policy learn`: what was used {}.\n\
             # It permits what was seen, also of those who should not have been there, and nothing that is\n\
             # rare. Look at each place that says DECIDE, then at `manoward policy check`, and try it:\n\
             # `manoward policy apply --confirm-within 5m`.\n\
             apiVersion: manoward/v1\n\
             name: {}\n\
             serial: 1\n\
             interfaces: [{}]\n\
             protect: [interface-addresses]\n\
             mode: enforce\n\
             outbound: audit    # DECIDE: `enforce`, once nothing legitimate is reported\n",
            host.watched,
            host.name,
            host.interfaces.join(", "),
        );
        let groups = self.groups();
        text.push_str(if groups.is_empty() {
            "endpoints: {}\n"
        } else {
            "endpoints:\n"
        });
        for group in &groups {
            write_endpoints(&mut text, group, host);
        }
        let mut defined = BTreeSet::new();
        let mut points = String::new();
        for group in &groups {
            for inbound in [true, false] {
                write_point(&mut points, group, inbound, &mut defined);
            }
        }
        text.push_str(if points.is_empty() {
            "reference_points: {}\n"
        } else {
            "reference_points:\n"
        });
        text.push_str(&points);
        if !defined.is_empty() {
            text.push_str("services:    # DECIDE: better names\n");
        }
        for used in defined {
            let (name, definition) = (own_name(used), definition(used));
            // A string can always be written to.
            let _ = writeln!(text, "  {name}: {definition}");
        }
        text
    }

    /// Peers by what they are used for, which is what a role is.
    fn groups(&self) -> Vec<Group<'a>> {
        let mut by_use: BTreeMap<BTreeSet<Used>, Vec<(IpAddr, &Peer)>> = BTreeMap::new();
        for &(address, peer) in &self.peers {
            let uses: BTreeSet<Used> = peer.uses.keys().copied().collect();
            if !uses.is_empty() {
                by_use.entry(uses).or_default().push((address, peer));
            }
        }
        let groups = (1..).zip(by_use);
        groups
            .map(|(number, (uses, peers))| Group {
                role: format!("role-{number}"),
                uses,
                peers,
            })
            .collect()
    }
}

fn write_endpoints(text: &mut String, group: &Group<'_>, host: &Host) {
    let usual: BTreeSet<&str> = group
        .uses
        .iter()
        .filter_map(|&used| known(used))
        .map(|entry| entry.peer)
        .collect();
    let usual: Vec<&str> = usual.into_iter().collect();
    let near = |address: IpAddr| {
        let length = if address.is_ipv4() { 24 } else { 64 };
        ipnet::IpNet::new(address, length)
            .map(|net| net.trunc())
            .ok()
    };
    let mut together: Vec<Vec<(IpAddr, &Peer)>> = Vec::new();
    for &(address, peer) in &group.peers {
        let last = together
            .last_mut()
            .filter(|last| host.grouped && near(last[0].0) == near(address));
        match last {
            Some(last) => last.push((address, peer)),
            None => together.push(vec![(address, peer)]),
        }
    }
    for peers in together {
        let first = peers[0].0;
        let name = first.to_string().replace(':', "-");
        let name = format!("peer-{}", name.trim_matches('-'));
        let addresses: Vec<String> = peers
            .iter()
            .map(|(address, _)| format!("\"{address}\""))
            .collect();
        // A string can always be written to.
        let _ = writeln!(
            text,
            "  {name}:\n    role: {}    # DECIDE: what is it? Its services are usually those of: {}",
            group.role,
            if usual.is_empty() {
                "nobody known".to_owned()
            } else {
                usual.join("; ")
            }
        );
        let _ = writeln!(text, "    addresses: [{}]", addresses.join(", "));
        if let [(address, peer)] = peers[..] {
            write_binding(text, address, peer, host);
        }
    }
}

fn write_binding(text: &mut String, address: IpAddr, peer: &Peer, host: &Host) {
    let macs: Vec<String> = peer.macs.iter().map(|mac| Mac(*mac).to_string()).collect();
    let on_link = host.links.iter().any(|link| link.contains(&address));
    let vlans: Vec<String> = peer
        .vlans
        .iter()
        .map(|tags| {
            let ids: Vec<String> = tags.iter().map(ToString::to_string).collect();
            ids.join(".")
        })
        .collect();
    let interfaces: Vec<&str> = peer.interfaces.iter().map(String::as_str).collect();
    let _ = match (&macs[..], on_link) {
        ([mac], true) => writeln!(
            text,
            "    mac: \"{mac}\"    # DECIDE: remove it if the peer may move"
        ),
        ([], _) => Ok(()),
        (macs, true) => writeln!(text, "    # several MAC addresses: {}", macs.join(", ")),
        (macs, false) => writeln!(
            text,
            "    # behind a router, with the MAC address {}",
            macs.join(", ")
        ),
    };
    if let [vlan] = &vlans[..]
        && !vlan.is_empty()
    {
        let _ = writeln!(text, "    vlan: \"{vlan}\"");
    }
    let _ = writeln!(text, "    # seen on {}", interfaces.join(", "));
}

fn write_point(text: &mut String, group: &Group<'_>, inbound: bool, defined: &mut BTreeSet<Used>) {
    let used: Vec<Used> = group
        .uses
        .iter()
        .copied()
        .filter(|used| used.inbound == inbound)
        .collect();
    if used.is_empty() {
        return;
    }
    let mut names = BTreeSet::new();
    for &used in &used {
        if let Some(entry) = known(used) {
            names.insert(entry.name.to_owned());
        } else {
            defined.insert(Used {
                inbound: true,
                ..used
            });
            names.insert(own_name(used));
        }
    }
    let packets: u64 = group
        .peers
        .iter()
        .flat_map(|(_, peer)| &peer.uses)
        .filter(|(used, _)| used.inbound == inbound)
        .map(|(_, packets)| packets)
        .sum();
    let (way, field) = if inbound {
        ("in", "from")
    } else {
        ("out", "to")
    };
    let names: Vec<String> = names.into_iter().collect();
    let _ = writeln!(
        text,
        "  {role}-{way}: {{ {field}: [{role}], services: [{}] }}    # {packets} answers",
        names.join(", "),
        role = group.role,
    );
}

/// The service of the catalogue that is this one and nothing else, but for the other IP version or transport.
fn known(used: Used) -> Option<&'static CatalogueEntry> {
    let mut entries = catalogue().iter();
    entries.find(|entry| {
        let mut ranges = entry.matches.iter().map(|matched| matched.range());
        let one = entry.matches.len() <= 2 && ranges.clone().all(|(_, first, last)| first == last);
        let icmp = [1, 58].contains(&used.protocol);
        let same_port = icmp || ranges.clone().all(|(_, first, _)| first == used.port);
        one && same_port
            && ranges.any(|(protocol, first, _)| (protocol, first) == (used.protocol, used.port))
    })
}

fn own_name(used: Used) -> String {
    let protocol = protocol::name(used.protocol);
    match used.port {
        0 => format!("learned-{protocol}"),
        port => format!("{protocol}-{port}"),
    }
}

fn definition(used: Used) -> String {
    let protocol = protocol::name(used.protocol);
    let has_ports = [Transport::Tcp, Transport::Udp, Transport::Sctp]
        .iter()
        .any(|transport| transport.protocol() == used.protocol);
    match (has_ports, used.port) {
        (true, port) => format!("{{ protocol: {protocol}, ports: [{port}] }}"),
        (false, 0) => format!("{{ protocol: {protocol} }}"),
        (false, kind) => format!("{{ protocol: {protocol}, types: [{kind}] }}"),
    }
}
