//! Fuzzing targets: everything that manoward reads from others.
//!
//! Each module has one function `run`, which takes any bytes and panics if a property does not
//! hold. `cargo xtask fuzz` has libFuzzer look for such bytes, with `AddressSanitizer` watching;
//! the test `corpus` runs every file of `corpus/` through its target on any compiler, so that
//! repaired bugs stay repaired.
//!
//! | target | bytes | who may send them |
//! | --- | --- | --- |
//! | [`packet`] | frames, in and out | anybody on the network |
//! | [`enrolment`] | datagrams, handshakes, certificates, messages | anybody on the network |
//! | [`control`] | requests to the control API | who may open its socket |
//! | [`policy`] | the policy file | who may write it |
//! | [`capture`] | a capture for `manoward explain` | whoever sent the capture |

pub mod capture;
pub mod control;
pub mod enrolment;
pub mod packet;
pub mod policy;
