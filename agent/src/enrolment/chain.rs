//! Verifies an endpoint's chain of certificates.
//!
//! webpki builds the chain, and verifies signatures, the validity of all but the root, which
//! certificates are authorities, name constraints, and the extended key usage. What RFC 5280 and the
//! SPIFFE standards demand beyond that is verified here, for every chain that webpki finds: if one does
//! not hold, another may.

use std::{cell::RefCell, fmt};

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, KeyUsage as Uses},
    prelude::FromDer as _,
    x509::SubjectPublicKeyInfo,
};

use super::{
    Refusal, StaleCrl, facts,
    lists::{self, Lists, RevocationList},
    pki,
    refusal::Reason,
};

/// What the text of a SPIFFE ID begins with.
const SPIFFE: &str = "spiffe://";

/// Why a certificate cannot prove an identity, whoever issued it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The reason that hosts give.
    pub reason: Reason,
    /// What is wrong, in a sentence.
    pub sentence: String,
}

impl Fault {
    fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(fault.reason, fault.sentence)
    }
}

/// What an authority of the bundle is allowed beyond its name and key.
#[derive(Debug)]
struct Root {
    name: String,
    /// The certificate, DER.
    der: CertificateDer<'static>,
}

/// Verifies chains by one state of the files.
pub(super) struct Verifier {
    anchors: Vec<TrustAnchor<'static>>,
    /// In the order of the anchors.
    roots: Vec<Root>,
    lists: Lists,
    stale: StaleCrl,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Verifier");
        shown.field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier that trusts the authorities of `roots`, whose certificates are `certificates` in the
    /// same order.
    ///
    /// # Errors
    ///
    /// A certificate that cannot be read.
    pub(super) fn new(
        roots: RootCertStore,
        certificates: Vec<CertificateDer<'static>>,
        lists: Vec<RevocationList>,
        stale: StaleCrl,
    ) -> Result<Self, String> {
        let root = |der: CertificateDer<'static>| {
            let name = facts::name(parsed(&der)?.subject());
            Ok(Root { name, der })
        };
        let roots_read: Result<Vec<Root>, String> = certificates.into_iter().map(root).collect();
        Ok(Self {
            anchors: roots.roots,
            roots: roots_read?,
            lists: Lists::new(lists),
            stale,
        })
    }

    /// The lists that may count, and those that bear the name of an authority that has not signed them.
    pub(super) fn lists(&self) -> (Vec<&RevocationList>, Vec<&RevocationList>) {
        let key = |anchor: &'_ TrustAnchor<'static>, root: &'_ Root| {
            let certificate = parsed(&root.der).ok()?;
            Some((
                anchor.subject.as_ref().to_vec(),
                certificate.public_key().raw.to_vec(),
            ))
        };
        let known: Vec<(Vec<u8>, Vec<u8>)> = self
            .anchors
            .iter()
            .zip(&self.roots)
            .filter_map(|(anchor, root)| key(anchor, root))
            .collect();
        let authorities: Vec<(&[u8], SubjectPublicKeyInfo<'_>)> = known
            .iter()
            .filter_map(|(name, key)| {
                let (_, key) = SubjectPublicKeyInfo::from_der(key).ok()?;
                Some((name.as_slice(), key))
            })
            .collect();
        self.lists.sorted(&authorities)
    }

    /// Verifies the chain that begins with `leaf`: until when it is valid.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<Timestamp, Refusal> {
        let now = Timestamp::now();
        let broken: RefCell<Option<Fault>> = RefCell::new(None);
        let until = RefCell::new(Timestamp::MIN);
        let follow = |path: &VerifiedPath<'_>| match self.follow(path, now) {
            Ok(valid) => {
                until.replace(valid);
                Ok(())
            }
            Err(fault) => {
                broken.borrow_mut().get_or_insert(fault);
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let verified = EndEntityCert::try_from(leaf).and_then(|leaf| {
            let found = leaf.verify_for_usage(
                pki::provider().signature_verification_algorithms.all,
                &self.anchors,
                others,
                UnixTime::now(),
                KeyUsage::client_auth(),
                None,
                Some(&follow),
            );
            found.map(drop)
        });
        match (verified, broken.into_inner()) {
            (Ok(()), _) => Ok(until.into_inner()),
            // A chain that ends at an authority, but for this.
            (Err(_), Some(fault)) => Err(fault.into()),
            (Err(error), None) => Err(refusal(leaf, &error)),
        }
    }

    /// Verifies what webpki does not about a chain: until when it is valid.
    fn follow(&self, path: &VerifiedPath<'_>, now: Timestamp) -> Result<Timestamp, Fault> {
        let unreadable = |reason| Fault::new(Reason::Other, reason);
        let mut anchors = self.anchors.iter();
        let at = anchors.position(|anchor| std::ptr::eq(anchor, path.anchor()));
        let root = at.and_then(|at| self.roots.get(at));
        let root = root.ok_or_else(|| Fault::new(Reason::UnknownCa, "no authority"))?;
        let leaf = path.end_entity().der();
        let between: Vec<CertificateDer<'_>> = path
            .intermediate_certificates()
            .map(webpki::Cert::der)
            .collect();
        // From the root down.
        let ders = [&root.der].into_iter().chain(between.iter().rev());
        let authorities: Result<Vec<X509Certificate<'_>>, String> =
            ders.map(|der| parsed(der)).collect();
        let authorities = authorities.map_err(unreadable)?;
        let leaf = parsed(&leaf).map_err(unreadable)?;
        follow_root(root, &authorities, now)?;
        if let Some(fault) = fault_of_leaf(&leaf).map_err(unreadable)? {
            return Err(fault);
        }
        let below = authorities.iter().skip(1).chain([&leaf]);
        for (authority, certificate) in authorities.iter().zip(below) {
            if !is_for(authority, Uses::key_cert_sign).map_err(unreadable)? {
                let name = facts::name(authority.subject());
                let sentence = format!("the key usage of {name} does not include keyCertSign");
                return Err(Fault::new(Reason::InvalidChain, sentence));
            }
            self.follow_list(authority, certificate, now)?;
        }
        let ends = authorities.iter().chain([&leaf]);
        let ends = ends.map(|certificate| facts::timestamp(certificate.validity().not_after));
        Ok(ends.min().unwrap_or(Timestamp::MIN))
    }

    /// The list of `authority`, if it has one, about `certificate`.
    fn follow_list(
        &self,
        authority: &X509Certificate<'_>,
        certificate: &X509Certificate<'_>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let unreadable = |reason: String| Fault::new(Reason::Other, reason);
        let name = contents(authority.subject().as_raw());
        let Some(list) = self.lists.of(name, authority.public_key()) else {
            return Ok(());
        };
        if !is_for(authority, Uses::crl_sign).map_err(unreadable)? {
            let name = facts::name(authority.subject());
            let sentence = format!("the key usage of {name}, which has a list, has no cRLSign");
            return Err(Fault::new(Reason::InvalidChain, sentence));
        }
        let sentence = match lists::refuses(list, certificate.raw_serial(), self.stale, now) {
            None => return Ok(()),
            Some(reason @ Reason::StaleCrl) => (
                reason,
                "the revocation list of the certificate's issuer has expired",
            ),
            Some(reason) => (reason, "the certificate, or one above it, was revoked"),
        };
        Err(Fault::new(sentence.0, sentence.1))
    }
}

/// The validity of the root, and how many authorities it permits below it, which webpki does not
/// know.
fn follow_root(
    root: &Root,
    authorities: &[X509Certificate<'_>],
    now: Timestamp,
) -> Result<(), Fault> {
    let Some((certificate, below)) = authorities.split_first() else {
        return Ok(());
    };
    let name = &root.name;
    let validity = certificate.validity();
    if facts::timestamp(validity.not_after) < now {
        let sentence = format!("the authority {name} has expired");
        return Err(Fault::new(Reason::Expired, sentence));
    }
    if facts::timestamp(validity.not_before) > now {
        let sentence = format!("the authority {name} is not valid yet");
        return Err(Fault::new(Reason::NotYetValid, sentence));
    }
    let constraints = certificate.basic_constraints();
    let constraints = constraints.map_err(|e| Fault::new(Reason::Other, e.to_string()))?;
    let most = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    // Certificates under an authority's own name do not count (RFC 5280, 4.2.1.9).
    let counted = below
        .iter()
        .filter(|it| it.subject() != it.issuer())
        .count();
    match most {
        Some(most) if counted > most as usize => Err(Fault::new(
            Reason::InvalidChain,
            format!("the authority {name} permits {most} authorities in a row below it"),
        )),
        _ => Ok(()),
    }
}

/// What a certificate that proves an identity must not be or lack, beyond what webpki verifies (RFC
/// 5280, 4.2.1.3; SPIFFE X.509-SVID, 4).
///
/// # Errors
///
/// A text that says what is wrong with its encoding.
pub(super) fn fault_of_leaf(leaf: &X509Certificate<'_>) -> Result<Option<Fault>, String> {
    let wrong = |sentence: &str| Ok(Some(Fault::new(Reason::WrongUsage, sentence)));
    if !is_for(leaf, Uses::digital_signature)? {
        return wrong("the certificate's key usage does not include digitalSignature");
    }
    let names = leaf.subject_alternative_name().map_err(|e| e.to_string())?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let uris = || {
        names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
    };
    let is_spiffe = |uri: &str| {
        let scheme = uri.get(..SPIFFE.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
    };
    if !uris().any(is_spiffe) {
        return Ok(None);
    }
    if uris().count() > 1 {
        let sentence =
            "the certificate has a SPIFFE ID and other URIs, where one alone is permitted";
        return Ok(Some(Fault::new(Reason::AmbiguousIdentity, sentence)));
    }
    let usage = leaf.key_usage().map_err(|e| e.to_string())?;
    if usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()) {
        return wrong("the certificate has a SPIFFE ID, and may sign certificates or lists");
    }
    Ok(None)
}

/// Whether the key usage of `certificate` includes `usage`, or it has none.
fn is_for(certificate: &X509Certificate<'_>, usage: fn(&Uses) -> bool) -> Result<bool, String> {
    let stated = certificate.key_usage().map_err(|e| e.to_string())?;
    Ok(stated.is_none_or(|stated| usage(stated.value)))
}

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    Ok(certificate)
}

/// A DER value without its tag and length.
fn contents(der: &[u8]) -> &[u8] {
    use x509_parser::asn1_rs::Any;

    Any::from_der(der).map_or(&[], |(_, any)| any.data)
}

/// Why webpki refuses `leaf`.
fn refusal(leaf: &CertificateDer<'_>, error: &webpki::Error) -> Refusal {
    let refusal = Refusal::of_chain(error);
    // A self-signed certificate is often that of an authority, and then fails for another reason
    // first. What the reader needs to know is that no authority has issued it.
    let self_signed = facts::Certificate::read(leaf).is_ok_and(|leaf| leaf.self_signed);
    match refusal.reason {
        Reason::Other | Reason::UnknownCa if self_signed => Refusal::new(
            Reason::UnknownCa,
            "the certificate is self-signed; endpoints need one from an authority in the CA bundle",
        ),
        _ => refusal,
    }
}
