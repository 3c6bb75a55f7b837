//! The kernel object that was built with this agent.

use std::borrow::Cow;

use super::Features;

/// The object, as it was built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MANOWARD_BPF_OBJECT"));

/// Section name of the XDP program: from it, aya tells the kernel that the program supports frames
/// of several buffers. `NO_FRAGS` replaces it for kernels that do not know them, and would refuse
/// it. Both have the same length.
const FRAGS: &[u8] = b"xdp.frags\0";
const NO_FRAGS: &[u8] = b"xdp\0frags\0";

/// The kernel object, adapted to a kernel with these features.
#[must_use]
pub fn object(features: Features) -> Cow<'static, [u8]> {
    for_kernel(OBJECT, features)
}

/// `object`, adapted to a kernel with these features.
pub(super) fn for_kernel(object: &[u8], features: Features) -> Cow<'_, [u8]> {
    if features.multi_buffer {
        return object.into();
    }
    let mut object = object.to_vec();
    for start in 0..object.len().saturating_sub(FRAGS.len()) {
        let name = &mut object[start..start + FRAGS.len()];
        if name == FRAGS {
            name.copy_from_slice(NO_FRAGS);
        }
    }
    object.into()
}
