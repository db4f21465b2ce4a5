//! What runs in the background, each on its own schedule: probes, name look-ups, the delivery of
//! callbacks, and the hooks at servers.

pub mod deliver;
pub(crate) mod drain;
mod each;
pub mod hooks;
pub mod probe;
pub mod resolve;
pub(crate) mod sizes;
