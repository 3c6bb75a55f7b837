//! Revocation lists: which of several of an authority counts, and what it says.
//!
//! A list counts for the key that signed it. Of several by the same key, the one with the highest
//! number does. So an old list hides no newer one, a list under the right name but by another key
//! replaces nothing, and an authority that changes its key has a list for each.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::{
    prelude::FromDer as _, revocation_list::CertificateRevocationList, x509::SubjectPublicKeyInfo,
};

use super::{StaleCrl, facts, refusal::Reason};

/// Most keys for which it is remembered which list counts.
const KEYS: usize = 1024;

/// Extensions of lists that do not have all of an authority's revoked certificates (RFC 5280, 5.2.4 and
/// 5.2.5).
const DELTA: &str = "2.5.29.27";
const PARTITION: &str = "2.5.29.28";

/// A revocation list.
#[derive(Debug)]
pub struct RevocationList {
    /// The file that it is in.
    pub(super) file: PathBuf,
    /// Distinguished name of its issuer.
    pub(super) issuer: String,
    /// When it expires (nextUpdate), if it says so.
    pub(super) next_update: Option<Timestamp>,
    /// The signed list, DER.
    der: Vec<u8>,
    /// The issuer's name, DER without its outermost tag and length.
    name: Vec<u8>,
    /// Its number (big-endian) and when it was made: of two, the greater is the newer.
    age: (Number, Timestamp),
    revoked: CertRevocationList<'static>,
}

/// A number of up to 20 octets, by its length and its octets, so that it compares as a number.
type Number = (usize, Vec<u8>);

impl RevocationList {
    /// Reads a list without verifying it.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with it.
    pub(super) fn read(file: &Path, der: &[u8]) -> Result<Self, String> {
        let (_, list) = CertificateRevocationList::from_der(der).map_err(|e| e.to_string())?;
        for extension in list.extensions() {
            let partial = match extension.oid.to_id_string().as_str() {
                DELTA => "a delta list, which has only changes",
                PARTITION => {
                    "a list for some certificates only (it has an issuing distribution point)"
                }
                _ => continue,
            };
            return Err(format!(
                "it is {partial}. Give the authority's complete list"
            ));
        }
        let number = list.crl_number();
        let number = number.map_or_else(Vec::new, x509_parser::num_bigint::BigUint::to_bytes_be);
        let revoked = OwnedCertRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let revoked = CertRevocationList::from(revoked);
        Ok(Self {
            file: file.to_owned(),
            issuer: facts::name(list.issuer()),
            next_update: list.next_update().map(facts::timestamp),
            der: der.to_vec(),
            name: revoked.issuer().to_vec(),
            age: ((number.len(), number), facts::timestamp(list.last_update())),
            revoked,
        })
    }

    /// Whether the key has signed it.
    fn is_signed_by(&self, key: &SubjectPublicKeyInfo<'_>) -> bool {
        CertificateRevocationList::from_der(&self.der)
            .is_ok_and(|(_, list)| list.verify_signature(key).is_ok())
    }

    /// Whether it has the certificate with this serial number. What cannot be read has it.
    fn revokes(&self, serial: &[u8]) -> bool {
        !matches!(self.revoked.find_serial(serial), Ok(None))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.next_update.is_some_and(|until| until < now)
    }
}

/// All revocation lists that were read.
#[derive(Debug, Default)]
pub(super) struct Lists {
    all: Vec<RevocationList>,
    /// Which list counts, by name and key of the authority: looked for once for each, as it takes the
    /// verification of signatures.
    counting: Mutex<HashMap<Vec<u8>, Option<usize>>>,
}

impl Lists {
    pub(super) fn new(all: Vec<RevocationList>) -> Self {
        Self {
            all,
            counting: Mutex::default(),
        }
    }

    /// The list that counts for the authority with this name (as in [`RevocationList`]) and this key;
    /// `None` if it has none.
    pub(super) fn of(
        &self,
        name: &[u8],
        key: &SubjectPublicKeyInfo<'_>,
    ) -> Option<&RevocationList> {
        if !self.all.iter().any(|list| list.name == name) {
            return None;
        }
        let authority = [name, key.raw].concat();
        let mut counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = counting.get(&authority) {
            return known.and_then(|index| self.all.get(index));
        }
        let signed = self.all.iter().enumerate();
        let signed = signed.filter(|(_, list)| list.name == name && list.is_signed_by(key));
        let newest = signed.max_by(|(_, a), (_, b)| a.age.cmp(&b.age));
        if counting.len() >= KEYS {
            counting.clear();
        }
        counting.insert(authority, newest.map(|(index, _)| index));
        newest.map(|(_, list)| list)
    }

    /// The lists that count for one of the `authorities` (name and key) or may for one below them, and
    /// those that bear the name of one but were signed by none.
    pub(super) fn sorted(
        &self,
        authorities: &[(&[u8], SubjectPublicKeyInfo<'_>)],
    ) -> (Vec<&RevocationList>, Vec<&RevocationList>) {
        let is_named = |list: &&RevocationList| {
            let mut authorities = authorities.iter();
            authorities.any(|(name, _)| list.name == *name)
        };
        let is_signed = |list: &RevocationList| {
            let mut authorities = authorities.iter();
            authorities.any(|(name, key)| list.name == *name && list.is_signed_by(key))
        };
        let (named, others): (Vec<_>, Vec<_>) = self.all.iter().partition(is_named);
        let strange = named.into_iter().filter(|list| !is_signed(list)).collect();
        let mut counting = others;
        for list in authorities
            .iter()
            .filter_map(|(name, key)| self.of(name, key))
        {
            if !counting.iter().any(|known| std::ptr::eq(*known, list)) {
                counting.push(list);
            }
        }
        (counting, strange)
    }
}

/// Whether `list` refuses the certificate with this serial number now, and why.
pub(super) fn refuses(
    list: &RevocationList,
    serial: &[u8],
    stale: StaleCrl,
    now: Timestamp,
) -> Option<Reason> {
    if stale == StaleCrl::Refuse && list.is_over(now) {
        Some(Reason::StaleCrl)
    } else {
        list.revokes(serial).then_some(Reason::Revoked)
    }
}
