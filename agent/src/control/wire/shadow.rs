//! A candidate that judges beside the policy in force.

use manoward_api::{Newly, Place, ShadowReport, ShadowRow, Trying, Way};
use verdict::{counters::Direction, reason::Verdict};

use crate::{
    datapath::shadow::ShadowCounts,
    enforcer::{self, ReportError},
};

/// The candidate, as of now.
pub fn trying(trying: &enforcer::Trying) -> Trying {
    // Only where it has just been ended.
    told(trying, trying.counts().unwrap_or_default())
}

/// What it would do otherwise than what is enforced as of `view`.
///
/// # Errors
///
/// Counters that cannot be read.
pub fn report(
    trying: &enforcer::Trying,
    view: &enforcer::View,
) -> Result<ShadowReport, ReportError> {
    let report = trying.report(view)?;
    Ok(ShadowReport {
        trying: told(trying, report.counts),
        rows: report.rows.into_iter().map(Into::into).collect(),
    })
}

fn told(trying: &enforcer::Trying, counts: ShadowCounts) -> Trying {
    let policy = trying.candidate.policy();
    Trying {
        name: policy.name.clone(),
        serial: policy.serial,
        file: trying.candidate.stored.file.clone(),
        beside: trying.beside,
        since: trying.since.to_string(),
        loading: trying.loading,
        newly_dropped: counts.dropped,
        newly_admitted: counts.admitted,
        unrecorded: counts.unrecorded,
        unseen: trying.unseen.clone(),
        beyond: trying.beyond.clone(),
    }
}

impl From<enforcer::ShadowRow> for ShadowRow {
    fn from(row: enforcer::ShadowRow) -> Self {
        let rule = row.rule.as_ref();
        Self {
            newly: match row.verdict {
                Verdict::Drop => Newly::Dropped,
                Verdict::Pass => Newly::Admitted,
            },
            place: if row.at_door {
                Place::Door
            } else {
                Place::Wire
            },
            direction: match row.direction {
                Direction::In => Way::In,
                Direction::Out => Way::Out,
            },
            reference_point: rule.map(|rule| rule.reference_point.clone()),
            service: rule.map(|rule| rule.service.clone()),
            endpoint: row.endpoint,
            address: row.address,
            reason: row.reason.to_owned(),
            packets: row.packets,
            bytes: row.bytes,
            first: row.first.to_string(),
            last: row.last.to_string(),
        }
    }
}
