//! Flows grouped by one property.

use std::collections::BTreeMap;

use manoward_api::{FlowEntry, FlowList};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{By, Counted};

/// Flows grouped by one property.
#[derive(Debug, Serialize)]
pub struct Groups {
    /// Name of the property.
    #[serde(rename = "by")]
    pub field: &'static str,
    /// The groups, those without a name last.
    pub rows: Vec<Group>,
    /// How many flows there are.
    #[serde(flatten)]
    pub counted: Counted,
}

/// A group of flows.
#[derive(Debug, Eq, PartialEq)]
pub struct Group {
    field: &'static str,
    /// Value of the property; `None` for flows without one.
    pub name: Option<String>,
    /// Number of flows, and their bytes.
    pub sum: Sum,
}

/// Flows and bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sum {
    pub flows: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

impl Groups {
    /// Groups the flows of `list`.
    pub fn of(list: &FlowList, by: By) -> Self {
        let mut sums: BTreeMap<(bool, Option<&str>), Sum> = BTreeMap::new();
        for flow in &list.flows {
            let name = key(flow, by);
            let sum = sums.entry((name.is_none(), name)).or_default();
            sum.flows += 1;
            sum.sent_bytes = sum.sent_bytes.saturating_add(flow.sent_bytes.unwrap_or(0));
            sum.received_bytes = sum
                .received_bytes
                .saturating_add(flow.received_bytes.unwrap_or(0));
        }
        let field = field(by);
        let group = |((_, name), sum): ((bool, Option<&str>), Sum)| Group {
            field,
            name: name.map(str::to_owned),
            sum,
        };
        Self {
            field,
            rows: sums.into_iter().map(group).collect(),
            counted: Counted::of(list),
        }
    }
}

const fn field(by: By) -> &'static str {
    match by {
        By::Endpoint => "endpoint",
        By::Service => "service",
        By::State => "state",
        By::Protocol => "protocol",
        By::Role => "role",
    }
}

fn key(flow: &FlowEntry, by: By) -> Option<&str> {
    match by {
        By::Endpoint => flow.endpoint.as_deref(),
        By::Service => flow.service.as_deref(),
        By::State => Some(&flow.state),
        By::Protocol => Some(&flow.protocol),
        By::Role => flow.role.as_deref(),
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        row.serialize_entry(self.field, &self.name)?;
        row.serialize_entry("flows", &self.sum.flows)?;
        row.serialize_entry("sent_bytes", &self.sum.sent_bytes)?;
        row.serialize_entry("received_bytes", &self.sum.received_bytes)?;
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::show::tests::list, *};

    #[test]
    fn what_has_no_name_comes_last() {
        let groups = Groups::of(&list(), By::Endpoint);
        let names: Vec<_> = groups.rows.iter().map(|row| row.name.as_deref()).collect();
        assert_eq!(names, [Some("vim-1"), None]);
        assert_eq!(groups.rows[0].sum.sent_bytes, 1_234_567);
    }

    #[test]
    fn json_has_the_name_under_its_field() {
        let json = serde_json::to_value(Groups::of(&list(), By::Protocol)).unwrap();
        let row = serde_json::json!({
            "protocol": "udp", "flows": 1, "sent_bytes": 60, "received_bytes": 0,
        });
        assert_eq!(json["rows"][1], row);
        assert_eq!(json["capacity"], 65_536);
    }
}
