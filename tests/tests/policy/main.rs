//! Policies: mistakes, applying, trials, history, storage, audit, explanations, scale.

mod apply;
mod audit;
mod explain;
mod history;
mod refused_policies;
mod scale;
mod storage;
mod trial;
