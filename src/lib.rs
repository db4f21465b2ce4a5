//! tinyscale: one URL in front of several BigBlueButton servers. See ARCHITECTURE.md for the map.

pub mod admin;
pub mod app;
pub mod bbb;
pub mod callback;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod edge;
pub mod gateway;
pub mod hook;
pub mod journal;
pub mod metrics;
pub mod recording;
pub mod replay;
pub mod route;
pub mod services;
pub mod state;
pub mod store;
pub mod tenant;
