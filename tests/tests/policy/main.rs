//! Policies: mistakes, applying, trials, history, signatures, storage, audit, explanations, scale.

mod apply;
mod audit;
mod break_glass;
mod explain;
mod files;
mod history;
mod learn;
mod mistakes;
mod patch;
mod refused_policies;
mod scale;
mod shadow;
mod signed;
mod storage;
mod trial;
