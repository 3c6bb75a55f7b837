//! What is verified about a chain of certificates: one test for each line of docs/enrolment.md.

use manoward::{
    enrolment::{End, Reason},
    join::State,
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType,
};
use time::OffsetDateTime;

use super::{
    authority::{Authority, DAY, Issued, Profile},
    testbed::{Testbed, VIM, until},
};

/// A host that trusts one authority of its own.
fn bed(change: impl FnOnce(&mut CertificateParams)) -> (Testbed, Authority) {
    let mut trusted = None;
    let bed = Testbed::with(|authority, config| {
        let directory = authority.file.parent().unwrap();
        let root = Authority::with(directory, "root", change);
        config.files.ca.clone_from(&root.file);
        trusted = Some(root);
    });
    (bed, trusted.unwrap())
}

/// Enrols at a host that is verified by the authority of the testbed.
async fn refused(bed: &Testbed, issued: &Issued, reason: Reason, sentence: &str) {
    let status = bed.once(issued).await;
    let refusals = bed.recorder.refusals();
    assert_eq!(refusals, [reason], "{status:?}");
    assert_eq!(status.state, State::Refused, "{status:?}");
    assert!(bed.recorder.claims().is_empty());
    let told = bed.recorder.sentences();
    assert!(told[0].contains(sentence), "{told:?}");
}

async fn granted(bed: &Testbed, issued: &Issued) {
    let status = bed.once(issued).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
}

fn vim(authority: &Authority) -> Issued {
    authority.issue("vim", &Profile::endpoint(VIM))
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[tokio::test]
async fn an_authority_that_has_expired_or_is_not_valid_yet_vouches_for_nobody() {
    let now = OffsetDateTime::now_utc();
    let (bed_of_old, old) = bed(|root| root.not_after = now - time::Duration::HOUR);
    refused(
        &bed_of_old,
        &vim(&old),
        Reason::Expired,
        "CN=root has expired",
    )
    .await;
    let (bed_of_new, new) = bed(|root| root.not_before = now + time::Duration::HOUR);
    let sentence = "CN=root is not valid yet";
    refused(&bed_of_new, &vim(&new), Reason::NotYetValid, sentence).await;
}

#[tokio::test]
async fn an_authority_that_was_renewed_vouches_beside_its_old_certificate() {
    let (bed, root) = bed(|root| root.not_after = OffsetDateTime::now_utc() - time::Duration::HOUR);
    root.renewed().join_bundle(&bed.config.files.ca);
    bed.server().reload().unwrap();
    granted(&bed, &vim(&root)).await;
}

#[tokio::test]
async fn no_more_authorities_in_a_row_than_the_root_permits() {
    let (bed, root) = bed(|root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let (first, _) = root.intermediate("first");
    granted(&bed, &vim(&first)).await;
    let (second, _) = first.intermediate("second");
    bed.recorder.forget();
    refused(&bed, &vim(&second), Reason::InvalidChain, "permits 1").await;
}

#[tokio::test]
async fn no_more_authorities_in_a_row_than_an_intermediate_permits() {
    let (bed, root) = bed(|_| {});
    let constrained = |it: &mut CertificateParams| {
        it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    };
    let (first, _) = root.intermediate_with("first", constrained);
    let (second, _) = first.intermediate("second");
    refused(&bed, &vim(&second), Reason::InvalidChain, "in a row").await;
}

#[tokio::test]
async fn an_intermediate_needs_the_mark_of_an_authority() {
    let (bed, root) = bed(|_| {});
    let (none, _) = root.intermediate_with("none", |it| it.is_ca = IsCa::ExplicitNoCa);
    let sentence = "is not an authority's";
    refused(&bed, &vim(&none), Reason::InvalidChain, sentence).await;
}

#[tokio::test]
async fn an_authority_with_a_key_usage_needs_that_of_signing_certificates() {
    let without = |it: &mut CertificateParams| it.key_usages = vec![KeyUsagePurpose::CrlSign];
    let (bed_of_root, root) = bed(|_| {});
    let (between, _) = root.intermediate_with("between", without);
    refused(
        &bed_of_root,
        &vim(&between),
        Reason::InvalidChain,
        "keyCertSign",
    )
    .await;
    let (bed_of_other, other) = bed(without);
    refused(
        &bed_of_other,
        &vim(&other),
        Reason::InvalidChain,
        "keyCertSign",
    )
    .await;
    let (bed_of_any, any) = bed(|it| it.key_usages.clear());
    granted(&bed_of_any, &vim(&any)).await;
}

#[tokio::test]
async fn a_name_that_an_authority_may_not_give_is_refused() {
    let (bed, root) = bed(|_| {});
    let (between, _) = root.intermediate_with("between", |it| {
        it.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("other.example".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let profile =
        Profile::endpoint(VIM).sans(&[SanType::DnsName("vim.example".try_into().unwrap())]);
    let issued = between.issue("vim", &profile);
    refused(&bed, &issued, Reason::InvalidChain, "for this name").await;
}

#[tokio::test]
async fn a_certificate_with_a_key_usage_needs_that_of_signing() {
    let (bed, root) = bed(|_| {});
    let profile = Profile::endpoint(VIM).key_usage(&[KeyUsagePurpose::KeyEncipherment]);
    let issued = root.issue("vim", &profile);
    refused(&bed, &issued, Reason::WrongUsage, "digitalSignature").await;
    bed.recorder.forget();
    granted(
        &bed,
        &root.issue("any", &Profile::endpoint(VIM).key_usage(&[])),
    )
    .await;
}

#[tokio::test]
async fn an_extended_key_usage_includes_that_of_clients() {
    let (bed, root) = bed(|_| {});
    let profile = Profile::endpoint(VIM).usage(&[ExtendedKeyUsagePurpose::ServerAuth]);
    refused(
        &bed,
        &root.issue("vim", &profile),
        Reason::WrongUsage,
        "clientAuth",
    )
    .await;
    bed.recorder.forget();
    granted(&bed, &root.issue("any", &Profile::endpoint(VIM).usage(&[]))).await;
}

#[tokio::test]
async fn a_spiffe_id_stands_alone() {
    let (bed, root) = bed(|_| {});
    for other in ["spiffe://operator.example/vim/2", "https://vim.example/"] {
        let both = Profile::endpoint(VIM).sans(&[uri(VIM), uri(other)]);
        let issued = root.issue("vim", &both);
        refused(&bed, &issued, Reason::AmbiguousIdentity, "one alone").await;
        bed.recorder.forget();
    }
    let dns = SanType::DnsName("vim.example".try_into().unwrap());
    granted(
        &bed,
        &root.issue("dns", &Profile::endpoint(VIM).sans(&[uri(VIM), dns])),
    )
    .await;
}

#[tokio::test]
async fn who_has_a_spiffe_id_signs_no_certificates() {
    let (bed, root) = bed(|_| {});
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let profile = Profile::endpoint(VIM).key_usage(&[KeyUsagePurpose::DigitalSignature, usage]);
        refused(
            &bed,
            &root.issue("vim", &profile),
            Reason::WrongUsage,
            "may sign",
        )
        .await;
        bed.recorder.forget();
    }
}

/// The session ends with the first certificate of its chain, not with the endpoint's own.
#[tokio::test]
async fn a_session_ends_with_the_first_certificate_of_its_chain() {
    let soon = OffsetDateTime::now_utc() + time::Duration::seconds(4);
    let (bed, root) = bed(|root| root.not_after = soon);
    let issued = root.issue("vim", &Profile::endpoint(VIM).valid(soon - DAY, soon + DAY));
    let _join = bed.join(&issued).await;
    let claim = bed.recorder.claims().remove(0);
    assert_eq!(claim.until.as_second(), soon.unix_timestamp());
    until("the session ends", || bed.recorder.ends() == [End::Expired]).await;
    let over = OffsetDateTime::now_utc() - soon;
    assert!(over < time::Duration::seconds(2), "{over}");
}

/// What the endpoint itself is told to have a look at.
#[tokio::test]
async fn the_endpoint_is_told_what_its_certificate_lacks() {
    let (bed, root) = bed(|_| {});
    let both = [uri(VIM), uri("spiffe://operator.example/vim/2")];
    let issued = root.issue("vim", &Profile::endpoint(VIM).sans(&both));
    let files = bed.options(&issued).files;
    let codes: Vec<_> = manoward::join::check::files(&files)
        .into_iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(codes, ["ambiguous-identity", "key-readable"]);
    let status = bed.once(&issued).await;
    assert_eq!(
        status.reason.as_deref(),
        Some("invalid-chain"),
        "{status:?}"
    );
}
