//! Compiles a validated policy and the facts of the host into an image.

use verdict::image::header::word;

use super::{
    CompileError, Facts, Image, Numbers, addresses,
    lines::{Lines, MAX_LINES},
    places::Places,
    records,
    roles::Roles,
    services::{self, Served},
};
use crate::policy::Policy;

/// Compiles `policy` for a host with `facts`; rules and endpoints have the numbers in `numbers`.
///
/// The same input gives the same image.
pub fn compile(policy: &Policy, facts: &Facts, numbers: &Numbers) -> Result<Image, CompileError> {
    let protected = addresses::protected(policy, facts)?;
    let roles = Roles::of(policy).ok_or(CompileError::TooManyRoles)?;
    let places = Places::of(policy);
    let mut lines = Lines::new();
    let served = Served::of(policy);
    if served.is_too_much() {
        return Err(CompileError::TooManyNames);
    }
    served.write(&mut lines, policy, numbers);
    let permissions = services::Permissions {
        policy,
        roles: &roles,
        places: &places,
        numbers,
    };
    let (first_rule, choice_lines) = served.write_rules(&mut lines, &permissions);
    let first_place = places.write(&mut lines, facts)?;
    let first_record = records::write(&mut lines, policy, facts, numbers)?;
    services::timeouts(&mut lines, policy);
    addresses::macs(&mut lines, facts);
    lines.header()[word::RECORDS] = (u64::from(first_rule) << 32) | u64::from(first_record);
    lines.header()[word::PLACES] = (u64::from(first_place) << 32) | u64::from(choice_lines);
    lines.header()[word::ROLES] = roles.known_mask(policy);
    let knows_segments = addresses::segments(&mut lines, facts);
    addresses::write(
        &mut lines,
        policy,
        &protected,
        &roles,
        numbers,
        knows_segments,
    )?;
    if lines.len() > MAX_LINES as usize {
        return Err(CompileError::TooLarge { lines: lines.len() });
    }
    Ok(Image {
        lines: lines.into_vec(),
        digest: 0,
    })
}
