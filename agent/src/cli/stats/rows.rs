//! Counts, summed up.

use std::collections::BTreeMap;

use manoward_api::{self as api, Count, Fate, Place, Way};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::By;

/// Counts summed up by a key.
#[derive(Clone, Debug, Serialize)]
pub struct Rows {
    /// When they were read (RFC 3339).
    pub time: String,
    /// Names of the key's parts.
    #[serde(rename = "by")]
    pub fields: &'static [&'static str],
    /// The sums; never zero.
    #[serde(rename = "rows")]
    pub sums: Vec<Row>,
    /// What happened to all packets, whatever they are summed up by.
    #[serde(skip)]
    pub totals: BTreeMap<Order, Count>,
}

/// A sum.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    fields: &'static [&'static str],
    /// The key: a value for each of its parts; `None` where no rule governs the packets.
    pub key: Vec<Option<String>>,
    /// What happened to them.
    pub fate: Fate,
    /// How many.
    pub count: Count,
}

/// Fates in the order in which they are shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Order {
    Passed,
    Dropped,
    Audited,
}

impl From<Fate> for Order {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Passed => Self::Passed,
            Fate::Dropped => Self::Dropped,
            Fate::Audited => Self::Audited,
        }
    }
}

impl From<Order> for Fate {
    fn from(order: Order) -> Self {
        match order {
            Order::Passed => Self::Passed,
            Order::Dropped => Self::Dropped,
            Order::Audited => Self::Audited,
        }
    }
}

impl Rows {
    /// Sums up `stats`.
    pub fn of(stats: &api::Stats, by: Option<By>) -> Self {
        let fields = fields(by);
        let mut sums = Sums::default();
        let mut totals = BTreeMap::new();
        for verdict in &stats.verdicts {
            add(
                totals.entry(verdict.fate.into()).or_default(),
                verdict.count,
            );
            if let Some(key) = key(verdict, by) {
                sums.add(key, verdict.fate, verdict.count);
            }
        }
        if by == Some(By::Endpoint) {
            for endpoint in &stats.endpoints {
                for (way, fates) in [(Way::In, endpoint.received), (Way::Out, endpoint.sent)] {
                    let key = vec![Some(endpoint.name.clone()), Some(name(way).to_owned())];
                    sums.add(key.clone(), Fate::Passed, fates.passed);
                    sums.add(key, Fate::Dropped, fates.dropped);
                }
            }
        }
        Self {
            time: stats.time.clone(),
            fields,
            sums: sums.rows(fields),
            totals,
        }
    }

    /// The packets with this fate.
    pub fn total(&self, fate: Fate) -> Count {
        self.totals.get(&fate.into()).copied().unwrap_or_default()
    }
}

const fn fields(by: Option<By>) -> &'static [&'static str] {
    match by {
        None => &["direction", "reference_point", "reason"],
        Some(By::ReferencePoint) => &["reference_point", "direction"],
        Some(By::Reason) => &["reason", "direction"],
        Some(By::Endpoint) => &["endpoint", "direction"],
        Some(By::Service) => &["service", "direction"],
        Some(By::Direction) => &["direction"],
        Some(By::Place) => &["place", "direction"],
    }
}

/// The direction as rows name it.
const fn name(way: Way) -> &'static str {
    match way {
        Way::In => "in",
        Way::Out => "out",
    }
}

/// What a verdict's count is summed up by; endpoints have counts of their own.
fn key(verdict: &api::VerdictCount, by: Option<By>) -> Option<Vec<Option<String>>> {
    let way = || Some(name(verdict.direction).to_owned());
    let point = || verdict.reference_point.clone();
    let reason = || Some(verdict.reason.clone());
    let place = || {
        Some(match verdict.place {
            Place::Wire => "interface".to_owned(),
            Place::Door => "inner door".to_owned(),
        })
    };
    match by {
        None => Some(vec![way(), point(), reason()]),
        Some(By::ReferencePoint) => Some(vec![point(), way()]),
        Some(By::Reason) => Some(vec![reason(), way()]),
        Some(By::Service) => Some(vec![verdict.service.clone(), way()]),
        Some(By::Direction) => Some(vec![way()]),
        Some(By::Place) => Some(vec![place(), way()]),
        Some(By::Endpoint) => None,
    }
}

/// Sums by key and fate. What nothing governs comes last.
#[derive(Default)]
struct Sums(BTreeMap<(SortKey, Order), Count>);

/// The parts of a key, each after whether it is none.
type SortKey = Vec<(bool, Option<String>)>;

impl Sums {
    fn add(&mut self, key: Vec<Option<String>>, fate: Fate, count: Count) {
        if count == Count::default() {
            return;
        }
        let key = key.into_iter().map(|part| (part.is_none(), part)).collect();
        add(self.0.entry((key, fate.into())).or_default(), count);
    }

    fn rows(self, fields: &'static [&'static str]) -> Vec<Row> {
        let row = |((key, order), count): ((SortKey, Order), Count)| Row {
            fields,
            key: key.into_iter().map(|(_, part)| part).collect(),
            fate: order.into(),
            count,
        };
        self.0.into_iter().map(row).collect()
    }
}

fn add(sum: &mut Count, count: Count) {
    sum.packets = sum.packets.saturating_add(count.packets);
    sum.bytes = sum.bytes.saturating_add(count.bytes);
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        for (field, part) in self.fields.iter().zip(&self.key) {
            row.serialize_entry(field, part)?;
        }
        row.serialize_entry("fate", &self.fate)?;
        row.serialize_entry("packets", &self.count.packets)?;
        row.serialize_entry("bytes", &self.count.bytes)?;
        row.end()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn fates(passed: u64, dropped: u64) -> api::Fates {
        let count = |packets| Count {
            packets,
            bytes: 60 * packets,
        };
        api::Fates {
            passed: count(passed),
            dropped: count(dropped),
        }
    }

    pub fn stats() -> api::Stats {
        serde_json::from_value(serde_json::json!({
            "time": "2026-01-02T03:04:05.678Z",
            "verdicts": [
                { "direction": "in", "reference_point": null, "service": null, "reason": "no-service",
                  "fate": "dropped", "packets": 3, "bytes": 180 },
                { "direction": "in", "reference_point": "Nf-Vi", "service": "ssh", "reason": "permitted",
                  "fate": "passed", "packets": 1_000_000, "bytes": 123_456_789 },
                { "direction": "in", "reference_point": "Nf-Vi", "service": "libvirt-tls", "reason": "permitted",
                  "fate": "passed", "packets": 234_567, "bytes": 1000 },
                { "direction": "in", "reference_point": "Nf-Vi", "service": "ssh", "reason": "wrong-role",
                  "fate": "audited", "packets": 1, "bytes": 60 },
                { "direction": "out", "reference_point": "Nf-Vi-out", "service": "amqps",
                  "reason": "outbound", "fate": "passed", "packets": 4, "bytes": 240 },
            ],
            "endpoints": [
                { "name": "idle", "received": fates(0, 0), "sent": fates(0, 0) },
                { "name": "vim-1", "received": fates(9, 1), "sent": fates(4, 0) },
            ],
        }))
        .unwrap()
    }

    fn summed(by: Option<By>) -> Vec<(String, Fate, u64)> {
        let name = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".into());
        Rows::of(&stats(), by)
            .sums
            .iter()
            .map(|row| {
                let key: Vec<String> = row.key.iter().map(name).collect();
                (key.join(" "), row.fate, row.count.packets)
            })
            .collect()
    }

    #[test]
    fn by_direction_reference_point_and_reason() {
        let expected = [
            ("in Nf-Vi permitted".to_owned(), Fate::Passed, 1_234_567),
            ("in Nf-Vi wrong-role".to_owned(), Fate::Audited, 1),
            ("in - no-service".to_owned(), Fate::Dropped, 3),
            ("out Nf-Vi-out outbound".to_owned(), Fate::Passed, 4),
        ];
        assert_eq!(summed(None), expected);
    }

    #[test]
    fn by_service_and_by_endpoint() {
        let services = summed(Some(By::Service));
        assert_eq!(
            services[1],
            ("libvirt-tls in".to_owned(), Fate::Passed, 234_567)
        );
        assert_eq!(services.len(), 5);
        let endpoints = summed(Some(By::Endpoint));
        let expected = [
            ("vim-1 in".to_owned(), Fate::Passed, 9),
            ("vim-1 in".to_owned(), Fate::Dropped, 1),
            ("vim-1 out".to_owned(), Fate::Passed, 4),
        ];
        assert_eq!(endpoints, expected);
    }

    #[test]
    fn json_has_exact_numbers_under_the_key_s_names() {
        let json = serde_json::to_value(Rows::of(&stats(), Some(By::Reason))).unwrap();
        assert_eq!(json["by"], serde_json::json!(["reason", "direction"]));
        let row = serde_json::json!({
            "reason": "permitted", "direction": "in", "fate": "passed",
            "packets": 1_234_567, "bytes": 123_457_789,
        });
        assert_eq!(json["rows"][2], row);
    }
}
