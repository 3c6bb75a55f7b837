//! manoward
