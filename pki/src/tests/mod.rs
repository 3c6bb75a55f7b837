//! Authorities, certificates and revocation lists, read by this crate and by OpenSSL.

mod authority;
mod form;
mod openssl;
mod revocation;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

const VIM: &str = "spiffe://operator.example/vim/1";

/// An authority in a temporary directory.
struct Lab {
    directory: TempDir,
    authority: Authority,
}

impl Lab {
    fn new(algorithm: KeyAlgorithm, intermediate: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options {
            algorithm,
            intermediate,
            ..Options::default()
        };
        let authority = Authority::create(directory.path(), &options).expect("an authority");
        Self {
            directory,
            authority,
        }
    }

    fn usual() -> Self {
        Self::new(KeyAlgorithm::default(), false)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn issue(&self, request: &Request) -> Issued {
        let issued = self.authority.issue(request, self.path());
        issued.expect("a certificate")
    }

    /// An endpoint with a SPIFFE ID.
    fn vim(&self) -> Issued {
        self.issue(&vim())
    }

    fn revoke(&self, name: &str) -> Revoking {
        let which = Which::Named(name.to_owned());
        let revoking = self.authority.revoke(&which, Reason::KeyCompromise);
        revoking.expect("revoked")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("a file")
    }
}

fn vim() -> Request {
    Request::endpoint("vim-1", [Name::uri(VIM).expect("an ID")])
}

fn compute() -> Request {
    let name = Name::dns("compute-17.example").expect("a name");
    let address = Name::Ip("192.0.2.17".parse().expect("an address"));
    let longer = Name::Ip("2001:db8::17".parse().expect("an address"));
    Request::host("compute-17", [name, address, longer])
}

fn fails<T>(result: Result<T, PkiError>) -> String {
    match result {
        Ok(_) => panic!("it should fail"),
        Err(error) => error.to_string(),
    }
}
