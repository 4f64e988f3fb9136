//! The `hundi` command line.
fn main() {}
