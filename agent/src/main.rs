//! manoward
fn main() {}
