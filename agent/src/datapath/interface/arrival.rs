//! Where the packets of a peer arrive, and what they look like there.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    neighbour::{NeighbourAddress, NeighbourAttribute},
    route::{RouteAddress, RouteAttribute, RouteVia},
};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::{Interfaces, link::Kind};
use crate::policy::Vlan;

/// What the frames of a peer look like where programs see them, as far as the host knows. It knows the way
/// back to the peer; that packets come by the same is usual, not certain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Indexes of the interfaces that they may arrive on.
    pub ifindexes: Vec<u32>,
    /// Their VLAN.
    pub vlan: Vlan,
    /// Their source MAC address: of the peer, or of the router before it; `None` if the host knows none.
    pub mac: Option<[u8; 6]>,
}

impl Arrival {
    /// Of the packets of `peer`; `None` if there is no way to it, or it cannot be asked for.
    pub async fn of(peer: IpAddr, interfaces: &Interfaces) -> Option<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().ok()?;
        let connection = tokio::spawn(connection);
        let found = Self::ask(&handle, peer, interfaces).await;
        connection.abort();
        found
    }

    async fn ask(handle: &Handle, peer: IpAddr, interfaces: &Interfaces) -> Option<Self> {
        let (ifindex, neighbour) = way_to(handle, peer).await?;
        Some(Self {
            ifindexes: interfaces.arrivals(&interfaces.get(ifindex)?.name)?,
            vlan: interfaces.vlan_of(ifindex),
            mac: mac_of(handle, ifindex, neighbour).await,
        })
    }
}

impl Interfaces {
    /// The id of the outer tag of what is sent and received over the interface with this index.
    pub(super) fn outer_vlan(&self, index: u32) -> Option<u16> {
        self.vlan_of(index).outer()
    }

    /// The VLAN of what is sent and received over the interface with this index.
    fn vlan_of(&self, index: u32) -> Vlan {
        let mut tags = Vec::new();
        let mut next = self.get(index);
        while let Some(interface) = next {
            tags.extend(interface.vlan);
            next = match interface.kind {
                Kind::Upon(lower) if tags.len() <= 2 => self.get(lower),
                _ => None,
            };
        }
        match tags[..] {
            [] => Vlan::Untagged,
            [tag] => Vlan::Tagged(tag),
            [inner, outer, ..] => Vlan::Stacked { outer, inner },
        }
    }
}

/// The interface that leads to `peer`, and the next address on the way.
async fn way_to(handle: &Handle, peer: IpAddr) -> Option<(u32, IpAddr)> {
    let length = if peer.is_ipv4() { 32 } else { 128 };
    let question = RouteMessageBuilder::<IpAddr>::new();
    let question = question.destination_prefix(peer, length).ok()?.build();
    let mut answers = Box::pin(handle.route().get(question).execute());
    let route = answers.try_next().await.ok()??;
    let mut ifindex = None;
    let mut next = peer;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => next = (*address).into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(address))
            | RouteAttribute::Via(RouteVia::Inet6(address)) => next = (*address).into(),
            _ => {}
        }
    }
    Some((ifindex?, next))
}

/// The MAC address of `neighbour` on an interface.
async fn mac_of(handle: &Handle, ifindex: u32, neighbour: IpAddr) -> Option<[u8; 6]> {
    let mut entries = Box::pin(handle.neighbours().get().execute());
    while let Some(entry) = entries.try_next().await.ok()? {
        if entry.header.ifindex != ifindex {
            continue;
        }
        let is_it = entry.attributes.iter().any(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(it)) => {
                neighbour == IpAddr::from(*it)
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(it)) => {
                neighbour == IpAddr::from(*it)
            }
            _ => false,
        });
        if is_it {
            return entry
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    NeighbourAttribute::LinkLayerAddress(mac) => mac[..].try_into().ok(),
                    _ => None,
                });
        }
    }
    None
}
