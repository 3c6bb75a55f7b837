//! Who gets in whatever the policy says.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use manoward_api::{self as api, BreakGlass, StandingAccess};

use super::QueryError;
use crate::{
    enforcer::{DoorOrder, Glass},
    policy::{
        self, parse_mac,
        protocol::{Mac, shortest},
    },
    store::break_glass::OpenDoor,
};

/// What break glass does.
pub fn break_glass(glass: &Glass) -> BreakGlass {
    let standing = glass.standing.iter();
    let doors = glass.doors.iter();
    BreakGlass {
        standing: standing
            .map(|it| StandingAccess {
                access: access(&it.access),
                source: it.source.to_owned(),
            })
            .collect(),
        doors: doors
            .map(|(door, ends)| opened(door, ends.saturating_duration_since(Instant::now())))
            .collect(),
        packets: glass.packets,
    }
}

/// A door with the time until it closes.
pub fn opened(door: &OpenDoor, left: Duration) -> api::OpenDoor {
    api::OpenDoor {
        access: access(&door.access),
        opened: door.opened.clone(),
        left_seconds: left.as_secs_f64(),
        who: door.who.clone().map(Into::into),
    }
}

fn access(access: &policy::BreakGlass) -> api::GlassAccess {
    api::GlassAccess {
        from: access.addresses.iter().map(shortest).collect(),
        services: access.services.clone(),
        mac: access.mac.map(|mac| Mac(mac).to_string()),
        interface: access.interface.clone(),
    }
}

/// A door that is to be opened.
///
/// # Errors
///
/// Text that is no address, prefix or MAC address.
pub fn door_order(order: &api::DoorOrder) -> Result<DoorOrder, QueryError> {
    let text = &order.from;
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let from = text.parse::<IpNet>().or_else(|_| address());
    let from = from.map_err(|_| QueryError::Address(text.clone()))?;
    let mac = order.mac.as_ref();
    let mac = mac.map(|text| parse_mac(text).ok_or_else(|| QueryError::Mac(text.clone())));
    Ok(DoorOrder {
        term: Duration::from_secs(order.for_seconds),
        service: order.service.clone(),
        from,
        mac: mac.transpose()?,
        interface: order.interface.clone(),
    })
}
