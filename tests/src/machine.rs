//! What a machine of the tests is made of: namespaces, processes that die with them, and files.

pub mod namespace;
pub mod process;
mod sandbox;
pub mod scratch;
pub mod wait;
