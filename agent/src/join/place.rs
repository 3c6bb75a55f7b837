//! Where this endpoint sends from: what it tells a host, which compares it with what it sees.

use std::{io, net::IpAddr};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    link::LinkAttribute,
    route::{RouteAddress, RouteAttribute},
};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::enrolment::wire::Place;

/// Where datagrams to `host` leave from; `own` is the address that this end is bound to, which may be
/// unspecified.
///
/// # Errors
///
/// A kernel that does not tell.
pub(super) async fn towards(host: IpAddr, own: IpAddr) -> io::Result<Place> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let serving = tokio::spawn(connection);
    let found = found(&handle, host).await;
    serving.abort();
    let (address, mac) = found.map_err(io::Error::other)?;
    let own = (!own.is_unspecified()).then_some(own);
    let address = own.or(address).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Place {
        address: address.to_canonical(),
        mac,
    })
}

/// The address and the MAC address by which the kernel sends to `host`.
async fn found(
    handle: &Handle,
    host: IpAddr,
) -> Result<(Option<IpAddr>, Option<[u8; 6]>), rtnetlink::Error> {
    let bits = if host.is_ipv4() { 32 } else { 128 };
    let asked = RouteMessageBuilder::<IpAddr>::new().destination_prefix(host, bits);
    let Ok(asked) = asked else {
        return Ok((None, None));
    };
    let route = handle
        .route()
        .get(asked.build())
        .execute()
        .try_next()
        .await?;
    let (mut source, mut index) = (None, None);
    for attribute in route.map(|route| route.attributes).unwrap_or_default() {
        match attribute {
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => {
                source = Some(address.into());
            }
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => {
                source = Some(address.into());
            }
            RouteAttribute::Oif(oif) => index = Some(oif),
            _ => {}
        }
    }
    let Some(index) = index else {
        return Ok((source, None));
    };
    let mut link = handle.link().get().match_index(index).execute();
    let link = link.try_next().await?.map(|link| link.attributes);
    let mac = link
        .into_iter()
        .flatten()
        .find_map(|attribute| match attribute {
            // Tunnels have addresses of other lengths there.
            LinkAttribute::Address(mac) => <[u8; 6]>::try_from(mac).ok(),
            _ => None,
        });
    Ok((source, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_loopback_interface_has_a_mac_address_of_zeros() {
        let any: IpAddr = [0; 4].into();
        for own in [any, [127, 0, 0, 3].into()] {
            let place = towards([127, 0, 0, 2].into(), own).await.unwrap();
            let expected = if own == any {
                [127, 0, 0, 1].into()
            } else {
                own
            };
            assert_eq!((place.address, place.mac), (expected, Some([0; 6])));
        }
    }
}
