//! Policies: mistakes, applying, trials, storage, audit, explanations, scale.

mod apply;
mod audit;
mod explain;
mod refused_policies;
mod scale;
mod storage;
mod trial;
