//! Types and codes of ICMP and ICMPv6 that a service names.

use crate::policy::{
    icmp::{self, Codes, MOST_CODE, TYPES},
    mistake::Mistakes,
    model::ServiceMatch,
    raw::{Text, Texts},
    suggest,
};

/// Validates the `types` and `codes` of a `protocol` without ports.
pub(super) fn types(
    protocol: u8,
    types: Option<Texts>,
    codes: Option<Texts>,
    matches: &mut Vec<ServiceMatch>,
    mistakes: &mut Mistakes,
) {
    let named = ServiceMatch::Protocol(protocol);
    let Some(types) = types else {
        if let Some(codes) = codes {
            mistakes.add(codes.at, || {
                let message = format!("{named} has `codes`, and no `types` that they belong to");
                (message, "Add for example `types: [8]`.".to_owned())
            });
        }
        matches.push(named);
        return;
    };
    if !icmp::is_icmp(protocol) {
        mistakes.add(types.at, || {
            let message = format!("{named} has no types");
            let remedy = "Remove `types`, or write `protocol: icmp` or `icmpv6`.";
            (message, remedy.to_owned())
        });
        return;
    }
    let codes = codes.map_or(Codes::ALL, |texts| {
        let codes = texts.what.iter().filter_map(|text| code(text, mistakes));
        Codes::of(&codes.collect::<Vec<_>>())
    });
    for text in types.what {
        if let Some(kind) = kind(protocol, &text, mistakes) {
            matches.push(ServiceMatch::Icmp {
                protocol,
                kind,
                codes,
            });
        }
    }
}

fn kind(protocol: u8, text: &Text, mistakes: &mut Mistakes) -> Option<u8> {
    let named = ServiceMatch::Protocol(protocol);
    let Some(kind) = icmp::number(protocol, &text.what) else {
        mistakes.add(text.at, || {
            let known = TYPES.iter().filter(|&&(of, _, _)| of == protocol);
            let known = known.map(|&(_, name, _)| name);
            let otherwise = "Write its number, 0 to 255, or a name such as `echo-request`.";
            let remedy = suggest::remedy(&text.what, known, otherwise);
            (format!("{named} has no type `{}`", text.what), remedy)
        });
        return None;
    };
    if let Some((why, remedy)) = icmp::refused(protocol, kind) {
        mistakes.add(text.at, || {
            let message = format!(
                "type `{}` of {named} {why}, and asks for nothing",
                text.what
            );
            (message, remedy)
        });
        return None;
    }
    Some(kind)
}

fn code(text: &Text, mistakes: &mut Mistakes) -> Option<u8> {
    let code = text.what.parse().ok().filter(|&code| code <= MOST_CODE);
    if code.is_none() {
        mistakes.add(text.at, || {
            let message = format!("`{}` is not a code that can be named", text.what);
            let remedy = format!("Write 0 to {MOST_CODE}, or leave `codes` out for all of them.");
            (message, remedy)
        });
    }
    code
}
