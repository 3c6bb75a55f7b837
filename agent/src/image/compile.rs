//! Compiles a validated policy and the facts of the host into an image.

use verdict::image::header::word;

use super::{
    CompileError, Facts, Image, Numbers, addresses,
    lines::{Lines, MAX_LINES},
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
    let roles = Roles::of(policy);
    let mut lines = Lines::new();
    let served = Served::of(policy);
    if served.is_too_much() {
        return Err(CompileError::TooManyNames);
    }
    served.write(&mut lines, policy, numbers);
    let first_rule = served.write_rules(&mut lines, policy, &roles, numbers);
    let first_record = records::write(&mut lines, policy, facts, numbers)?;
    services::timeouts(&mut lines, policy);
    addresses::macs(&mut lines, facts);
    lines.header()[word::RECORDS] = (u64::from(first_rule) << 32) | u64::from(first_record);
    lines.header()[word::ROLES] = roles.known_mask(policy);
    addresses::write(&mut lines, policy, &protected, &roles, numbers)?;
    if lines.len() > MAX_LINES as usize {
        return Err(CompileError::TooLarge { lines: lines.len() });
    }
    Ok(Image {
        lines: lines.into_vec(),
        digest: 0,
    })
}
