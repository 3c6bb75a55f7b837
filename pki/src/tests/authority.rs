//! The directory of an authority, and what is refused.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a directory");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect()
}

#[test]
fn keys_are_for_their_owner_only() {
    let lab = Lab::new(KeyAlgorithm::Ed25519, true);
    let issued = lab.vim();
    for key in ["ca.key", "intermediate.key", "vim-1.key"] {
        assert_eq!(mode(&lab.file(key)), 0o600, "{key}");
    }
    for public in ["ca.pem", "intermediate.pem", "crl.pem", "vim-1.pem"] {
        assert_eq!(mode(&lab.file(public)), 0o644, "{public}");
    }
    assert_eq!(issued.key, lab.file("vim-1.key"));
    assert_eq!(issued.certificate, lab.file("vim-1.pem"));
}

#[test]
fn nothing_is_overwritten() {
    let lab = Lab::usual();
    lab.vim();
    let before = contents(lab.path());
    let error = fails(Authority::create(lab.path(), &Options::default()));
    assert!(error.contains("ca.pem exists and is not"), "{error}");
    let error = fails(lab.authority.issue(&vim(), lab.path()));
    assert!(error.contains("vim-1.pem exists and is not"), "{error}");
    assert!(error.contains("--out"), "{error}");
    assert_eq!(contents(lab.path()), before);

    let lone = tempfile::tempdir().expect("a directory");
    fs::write(lone.path().join("vim-1.key"), "mine").expect("written");
    let error = fails(lab.authority.issue(&vim(), lone.path()));
    assert!(error.contains("vim-1.key exists"), "{error}");
    assert!(!lone.path().join("vim-1.pem").exists());
    assert_eq!(contents(lab.path()), before);
}

#[test]
fn a_directory_without_an_authority_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = fails(Authority::open(directory.path()));
    let remedy = format!("manoward pki init {}", directory.path().display());
    assert!(error.contains(&remedy), "{error}");
}

#[test]
fn invalid_requests_are_refused() {
    let lab = Lab::usual();
    let uri = |text| Name::uri(text).expect("a URI");
    let dns = Name::dns("vim.example").expect("a name");
    for (request, hint) in [
        (Request::endpoint("x", []), "--uri, --dns"),
        (
            Request::endpoint("x", [uri(VIM), uri("spiffe://operator.example/vim/2")]),
            "no other URI",
        ),
        (
            Request::endpoint("x", [uri(VIM), uri("https://vim.example/")]),
            "no other URI",
        ),
        (Request::host("x", [uri(VIM)]), "--dns or --ip"),
        (Request::endpoint("../x", [dns.clone()]), "letters"),
        (Request::endpoint("-x", [dns.clone()]), "letters"),
        (Request::endpoint("ca", [dns.clone()]), "another name"),
        (
            Request {
                validity: Validity::For(Duration::from_hours(24 * 3651)),
                ..Request::endpoint("x", [dns.clone()])
            },
            "outlive",
        ),
    ] {
        let result = lab.authority.issue(&request, lab.path());
        assert!(matches!(result, Err(PkiError::Request { .. })));
        let error = fails(result);
        assert!(error.contains(hint), "{hint}: {error}");
    }
    assert!(!lab.file("x.pem").exists());
    assert_eq!(inventory(&lab).certificates.len(), 1);
}

#[test]
fn a_certificate_of_the_usual_lifetime_ends_with_its_authority() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options {
        lifetime: Duration::from_hours(48),
        ..Options::default()
    };
    let authority = Authority::create(directory.path(), &options).expect("an authority");
    authority.issue(&vim(), directory.path()).expect("issued");
    let inventory = authority.inventory().expect("read");
    let ends: Vec<_> = inventory
        .certificates
        .iter()
        .map(|one| one.not_after)
        .collect();
    assert_eq!(ends[0], ends[1]);
    assert_eq!(inventory.crls[0].next_update, Some(ends[0]));
}

#[test]
fn an_authority_lists_what_it_has() {
    let lab = Lab::new(KeyAlgorithm::EcdsaP384, true);
    let issued = lab.vim();
    lab.issue(&compute());
    lab.revoke("vim-1");
    let Inventory { certificates, crls } = inventory(&lab);
    let [root, intermediate, vim, host] = certificates.as_slice() else {
        panic!("{certificates:?}");
    };
    assert!(root.authority && intermediate.authority && !vim.authority);
    assert_eq!(
        root.subject,
        "O=For labs and tests only, CN=manoward lab CA"
    );
    assert_eq!(intermediate.issuer, root.subject);
    assert_eq!(vim.issuer, intermediate.subject);
    assert_eq!(vim.names, [Name::uri(VIM).expect("an ID")]);
    assert_eq!(vim.serial, issued.serial);
    assert_eq!(root.key, "ECDSA P-384");
    assert_eq!(vim.key, "ECDSA P-256");
    assert_eq!(host.usages, ["server", "client"]);
    assert_eq!(host.revocation, Revocation::Good);
    assert_eq!(intermediate.revocation, Revocation::Good);
    assert!(matches!(
        vim.revocation,
        Revocation::Revoked { reason: 1, .. }
    ));
    assert_eq!(crls.len(), 2);
    assert_eq!(crls[0].issuer, intermediate.subject);
    assert_eq!(crls[1].issuer, root.subject);
}

fn inventory(lab: &Lab) -> Inventory {
    lab.authority.inventory().expect("an inventory")
}
