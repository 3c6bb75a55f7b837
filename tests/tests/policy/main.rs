//! Policies: what is written, applied, kept, explained and counted.

mod apply;
mod audit;
mod explain;
mod refused_policies;
mod scale;
mod storage;
