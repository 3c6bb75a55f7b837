//! The network: stations and their addresses, links between machines, packets and raw frames,
//! sockets, and background traffic.

pub mod capture;
pub mod link;
pub mod packet;
pub mod socket;
pub mod stack_counter;
pub mod station;
pub mod traffic;
pub mod wire;
