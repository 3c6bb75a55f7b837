//! Why nobody judges a packet at an interface.

use std::net::IpAddr;

use verdict::{frame::ethernet, host::Frame};

use crate::image::Facts;

/// What becomes of a packet that is not judged, where there is more to say than that its address is not
/// protected: `local` is what would be the host's address. `groups_at_sockets` tells whether the sockets of
/// the host judge groups.
#[must_use]
pub fn untouched(
    facts: &Facts,
    frame: &Frame<'_>,
    local: Option<IpAddr>,
    groups_at_sockets: bool,
) -> Option<String> {
    if let Some(id) = ethernet::segment(frame)
        && let Some(own) = facts.segments.get(&frame.ifindex)
        && !own.contains(&id)
    {
        return Some(format!(
            "VLAN {id} carries none of the host's traffic on this interface, so it is a tenant's"
        ));
    }
    let local = local?;
    let is_group = match local {
        IpAddr::V4(local) => {
            local.is_multicast() || local.is_broadcast() || facts.broadcasts.contains(&local)
        }
        IpAddr::V6(local) => local.is_multicast(),
    };
    if is_group && groups_at_sockets {
        return Some(
            "it is for a group, and is judged at the sockets of the host that receive it"
                .to_owned(),
        );
    }
    let is_own = facts.addresses.contains(&local);
    is_own.then(|| {
        format!(
            "{local} is an address of this host which `protect` does not list, so the host takes it in unjudged"
        )
    })
}
