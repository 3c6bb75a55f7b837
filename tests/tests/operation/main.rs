//! The agent as a service: its life, who may command it, and what fails around it.

mod beside;
mod endurance;
mod faults;
mod permissions;
mod refused_agents;
mod soak;
mod truth;
mod without_policy;
