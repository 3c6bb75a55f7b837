//! Validates `authenticate`, `identity`, `sessions` and `routed` of endpoints.

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

/// Validates how the endpoint `name` proves its identity; after a mistake, `Address` stands in.
pub(super) fn validate(raw: &RawEndpoint, name: &Text, mistakes: &mut Mistakes) -> Authenticate {
    const CHOICES: Choices<bool> = &[("address", false), ("certificate", true)];
    let written = raw.authenticate.as_ref();
    let by_certificate = names::choice(written, "authenticate", CHOICES, mistakes) == Some(true);
    if !by_certificate {
        unused(raw.identity.as_ref(), "identity", mistakes);
        unused(raw.sessions.as_ref(), "sessions", mistakes);
        unused(raw.routed.as_ref(), "routed", mistakes);
        return Authenticate::Address;
    }
    let sessions = sessions(raw.sessions.as_ref(), mistakes);
    let Some(text) = &raw.identity else {
        mistakes.add(written.map_or(name.at, |text| text.at), || {
            let message = format!(
                "endpoint `{}` authenticates by certificate, but has no `identity`",
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
    // What is neither was refused where it was read.
    let routed = raw.routed.as_ref();
    let routed = routed.is_some_and(|text| text.what.eq_ignore_ascii_case("true"));
    Authenticate::Certificate {
        identity,
        sessions,
        routed,
    }
}

/// Reports a field that has no meaning without a certificate.
fn unused(text: Option<&Text>, field: &str, mistakes: &mut Mistakes) {
    let Some(text) = text else { return };
    mistakes.add(text.at, || {
        let message =
            format!("`{field}` applies only to endpoints that authenticate by certificate");
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
                let message = format!("`{}` is not a value of `sessions`", text.what);
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
