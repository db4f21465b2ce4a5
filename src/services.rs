//! What runs in the background, each on its own schedule: probes, name look-ups and the delivery of
//! callbacks.

pub mod deliver;
pub mod probe;
pub mod resolve;
