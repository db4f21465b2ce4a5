//! tinyscale: one URL in front of several BigBlueButton servers. See ARCHITECTURE.md for the map.

pub mod bbb;
pub mod cluster;
pub mod config;
pub mod recording;
