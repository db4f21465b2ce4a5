//! The `tinyscale` binary.

fn main() {}
