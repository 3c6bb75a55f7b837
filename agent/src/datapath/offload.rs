//! Offloads of the hardware that change frames before a program sees them.

use std::collections::BTreeSet;

use ethtool::{EthtoolAttr, EthtoolFeatureAttr, EthtoolHeader};
use futures_util::StreamExt as _;

/// The kernel's name of VLAN tag stripping on receive (`ethtool -K DEV rxvlan`).
const VLAN_STRIPPING: &str = "rx-vlan-hw-parse";

/// Names of the interfaces that strip VLAN tags from received frames.
///
/// XDP then sees a tagged frame as an untagged one, so that bindings to VLANs cannot be checked.
/// Empty before Linux 5.6, which does not report this.
pub async fn vlan_strippers() -> BTreeSet<String> {
    let Ok((connection, mut handle, _)) = ethtool::new_connection() else {
        return BTreeSet::new();
    };
    let connection = tokio::spawn(connection);
    let mut strippers = BTreeSet::new();
    if let Ok(mut messages) = Box::pin(handle.feature().get(None).execute()).await {
        while let Some(Ok(message)) = messages.next().await {
            strippers.extend(stripper(&message.payload.nlas));
        }
    }
    connection.abort();
    strippers
}

/// The interface that these attributes describe, if it removes tags.
fn stripper(attributes: &[EthtoolAttr]) -> Option<String> {
    let features = attributes.iter().filter_map(|attribute| match attribute {
        EthtoolAttr::Feature(feature) => Some(feature),
        _ => None,
    });
    let mut name = None;
    let mut strips = false;
    for feature in features {
        match feature {
            EthtoolFeatureAttr::Header(header) => {
                name = header.iter().find_map(|part| match part {
                    EthtoolHeader::DevName(name) => Some(name.clone()),
                    _ => None,
                });
            }
            EthtoolFeatureAttr::Active(active) => {
                strips = active
                    .iter()
                    .any(|bit| bit.name == VLAN_STRIPPING && bit.value);
            }
            _ => {}
        }
    }
    name.filter(|_| strips)
}
