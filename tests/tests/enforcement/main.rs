//! What the host lets in and keeps out, with real machines around it.

mod admission;
mod attached;
mod bindings;
mod door;
mod following;
mod hooks;
mod oracle;
mod tenants;
mod translated;
