//! What monitoring sees, as numbers and as Prometheus' text. No label names a meeting, a person or anything else
//! that comes from a client.

pub mod greenstatic;
pub mod own;
pub mod polls;
pub mod snapshot;
mod text;
