//! How endpoints prove who they are.

use super::{names, names::Choices};
use crate::{
    enrolment::Identity,
    policy::{
        mistake::Mistakes,
        model::{Authenticate, Sessions},
        raw::{RawEndpoint, Text},
    },
};

const IDENTITY_REMEDY: &str = "Write `identity:` with a URI or DNS name of the certificate, for \
    example `identity: spiffe://operator.example/vim/1`.";

/// Reads how the endpoint called `name` proves who it is; a mistake stands for its address.
pub(super) fn validate(raw: &RawEndpoint, name: &Text, mistakes: &mut Mistakes) -> Authenticate {
    const CHOICES: Choices<bool> = &[("address", false), ("certificate", true)];
    let written = raw.authenticate.as_ref();
    let by_certificate = names::choice(written, "authenticate", CHOICES, mistakes) == Some(true);
    if !by_certificate {
        alone(raw.identity.as_ref(), "an identity is proven", mistakes);
        alone(raw.sessions.as_ref(), "sessions are opened", mistakes);
        return Authenticate::Address;
    }
    let sessions = sessions(raw.sessions.as_ref(), mistakes);
    let Some(text) = &raw.identity else {
        mistakes.add(written.map_or(name.at, |text| text.at), || {
            let message = format!(
                "endpoint `{}` shows a certificate, and nothing says which",
                name.what
            );
            (message, IDENTITY_REMEDY.to_owned())
        });
        return Authenticate::Address;
    };
    let Some(identity) = Identity::parse(&text.what) else {
        mistakes.add(text.at, || {
            let message = format!("`{}` is neither a URI nor a DNS name", text.what);
            (message, IDENTITY_REMEDY.to_owned())
        });
        return Authenticate::Address;
    };
    Authenticate::Certificate { identity, sessions }
}

/// A field that means nothing without a certificate.
fn alone(text: Option<&Text>, what: &str, mistakes: &mut Mistakes) {
    let Some(text) = text else { return };
    mistakes.add(text.at, || {
        let message = format!("{what} by a certificate, and this endpoint shows none");
        let remedy = "Write `authenticate: certificate` beside it, or remove it.";
        (message, remedy.to_owned())
    });
}

fn sessions(text: Option<&Text>, mistakes: &mut Mistakes) -> Sessions {
    let Some(text) = text else {
        return Sessions::default();
    };
    let number = text.what.parse().ok();
    match (&*text.what, number) {
        ("replace", _) => Sessions::Replace,
        ("refuse", _) => Sessions::Refuse,
        (_, Some(number)) if (2..=Sessions::MOST).contains(&number) => Sessions::Allow(number),
        _ => {
            mistakes.add(text.at, || {
                let message = format!("`{}` is no value of `sessions`", text.what);
                let remedy = format!(
                    "Write `replace`, `refuse`, or how many addresses may hold one at once, 2 to {}.",
                    Sessions::MOST
                );
                (message, remedy)
            });
            Sessions::default()
        }
    }
}
