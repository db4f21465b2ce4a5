//! What runs in the background, each on its own schedule: probes and name look-ups.

pub mod probe;
pub mod resolve;
