//! The `bbb-sim` binary.

fn main() {}
