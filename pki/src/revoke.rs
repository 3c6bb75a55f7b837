//! Revoking certificates.

use std::path::PathBuf;

use jiff::Timestamp;
use rcgen::{RevokedCertParams, SerialNumber};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    Authority, PkiError, Reason, Serial,
    authority::Signer,
    create::{next_update, sign_crl},
    files::{self, Mode},
    index::{Index, Record, Withdrawn},
    inspect::{certificates, crls, lists},
};

/// Selects a certificate.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one whose files have this name.
    Named(String),
    /// The one with this serial.
    Serial(Serial),
    /// The first one in this file.
    File(PathBuf),
}

/// The result of a revocation.
#[derive(Clone, Debug, Serialize)]
pub struct Revoking {
    /// What the certificate's files are called.
    pub name: String,
    /// Its serial.
    pub serial: Serial,
    /// Whether it had been revoked before; time and reason are then those of that revocation.
    pub already: bool,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
    /// Number of the revocation list that has it.
    pub crl_number: u64,
}

impl Authority {
    /// Revokes a certificate, and writes the revocation list.
    ///
    /// # Errors
    ///
    /// If the authority has not issued it, or several valid ones have its name.
    pub fn revoke(&self, which: &Which, reason: Reason) -> Result<Revoking, PkiError> {
        let _lock = files::lock(&self.directory)?;
        let now = OffsetDateTime::now_utc();
        let mut index = Index::read(&self.directory)?;
        let signer = self.signer()?;
        let at = self.find(&index, which, now)?;
        let record = &mut index.issued[at];
        let already = record.revoked.is_some();
        let Withdrawn { at: since, reason } = *record.revoked.get_or_insert(Withdrawn {
            at: now.unix_timestamp(),
            reason,
        });
        let (name, serial) = (record.name.clone(), record.serial.clone());
        if already {
            self.refresh_crl(&mut index, &signer, now)?;
        } else {
            self.renew_crl(&mut index, &signer, now)?;
        }
        Ok(Revoking {
            name,
            serial,
            already,
            since: Timestamp::from_second(since).unwrap_or_default(),
            reason,
            crl_number: index.crl_number,
        })
    }

    /// The position of a certificate in the index.
    fn find(&self, index: &Index, which: &Which, now: OffsetDateTime) -> Result<usize, PkiError> {
        let unknown = |what: String| PkiError::Unknown {
            what,
            directory: self.directory.clone(),
        };
        let with = |serial: &Serial| {
            let mut records = index.issued.iter();
            records.position(|record| record.serial == *serial)
        };
        match which {
            Which::Serial(serial) => {
                with(serial).ok_or_else(|| unknown(format!("with serial {serial}")))
            }
            Which::File(path) => {
                let found = certificates(&files::read(path)?, path, &[])?.swap_remove(0);
                let serial = found.serial;
                let what = format!("like {} (serial {serial})", path.display());
                with(&serial).ok_or_else(|| unknown(what))
            }
            Which::Named(name) => {
                let named = || {
                    let records = index.issued.iter().enumerate();
                    records.filter(|(_, record)| record.name == *name)
                };
                let in_use = |record: &Record| {
                    record.revoked.is_none() && record.not_after > now.unix_timestamp()
                };
                let candidates: Vec<_> = named().filter(|(_, record)| in_use(record)).collect();
                match candidates.as_slice() {
                    [(at, _)] => Ok(*at),
                    [] => named()
                        .next_back()
                        .map(|(at, _)| at)
                        .ok_or_else(|| unknown(format!("named `{name}`"))),
                    several => Err(PkiError::Ambiguous {
                        name: name.clone(),
                        serials: several
                            .iter()
                            .map(|(_, record)| record.serial.to_string())
                            .collect(),
                    }),
                }
            }
        }
    }

    /// Signs a new revocation list if the one on disk has another number than the index, as after a
    /// crash, or if half of its lifetime is over.
    pub(crate) fn refresh_crl(
        &self,
        index: &mut Index,
        signer: &Signer,
        now: OffsetDateTime,
    ) -> Result<(), PkiError> {
        let of_issuer = files::read(&self.paths.crl)
            .and_then(|text| crls(&text, &self.paths.crl))
            .ok()
            .and_then(|lists| lists.into_iter().next());
        let is_current = of_issuer.is_some_and(|list| {
            let from = list.this_update.as_second();
            let half = from.midpoint(list.next_update.map_or(from, Timestamp::as_second));
            list.number == Some(index.crl_number) && now.unix_timestamp() < half
        });
        if is_current {
            return Ok(());
        }
        self.renew_crl(index, signer, now)
    }

    /// Writes a new revocation list.
    fn renew_crl(
        &self,
        index: &mut Index,
        signer: &Signer,
        now: OffsetDateTime,
    ) -> Result<(), PkiError> {
        // The list of the root above an intermediate is kept: the root's key may be elsewhere.
        let kept = match files::read(&self.paths.crl) {
            Ok(text) if self.has_intermediate() => lists(&text).skip(1).collect(),
            _ => String::new(),
        };
        let revoked: Result<Vec<_>, PkiError> = index.issued.iter().filter_map(entry).collect();
        index.crl_number += 1;
        let end = next_update(now, signer.end);
        let list = sign_crl(&signer.issuer, index.crl_number, revoked?, now, end)?;
        // If writing the list fails, `refresh_crl` notices by its number.
        index.write(&self.directory)?;
        files::replace(&self.paths.crl, &format!("{list}{kept}"), Mode::Public)
    }
}

/// The entry of a revoked certificate in a revocation list; `None` if it is not revoked.
fn entry(record: &Record) -> Option<Result<RevokedCertParams, PkiError>> {
    let Withdrawn { at, reason } = record.revoked?;
    let time = OffsetDateTime::from_unix_timestamp(at).map_err(|_| {
        PkiError::request(
            format!(
                "certificate {} has an invalid time of revocation",
                record.serial
            ),
            "correct it in index.json",
        )
    });
    Some(time.map(|revocation_time| RevokedCertParams {
        serial_number: SerialNumber::from_slice(record.serial.octets()),
        revocation_time,
        reason_code: Some(reason.code()),
        invalidity_date: None,
    }))
}
