//! A simulated BigBlueButton server, for tests, benches and people who write BBB clients.
//!
//! It speaks BBB's HTTP API over a real socket, keeps meetings, sessions and recordings in memory, writes
//! down every call, and misbehaves on request. It refuses to hold a meeting: there is no media, no
//! chat, no client.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! let sim = sim::Sim::start(sim::SimConfig::default()).await?;
//! let url = sim.signed_url("create", "meetingID=room-1&name=Room");
//! // .. call `url` with any HTTP client ..
//! sim.add_users("room-1", 12);
//! sim.set_fault_once(sim::Fault::ResetAfter, Some("create"));
//! sim.stop().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod callback;
mod calls;
mod checksum;
mod clock;
mod config;
mod control;
mod fault;
mod ids;
mod jwt;
mod listening;
mod node;
mod params;
mod reply;
mod server;
mod sim;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod webhook;
mod xml;

pub use crate::calls::ReceivedCall;
pub use crate::checksum::Algorithm;
pub use crate::config::{Profile, SimConfig};
pub use crate::control::serve_control;
pub use crate::fault::Fault;
pub use crate::sim::{Sim, start_many};
pub use crate::state::crowd::Crowd;
pub use crate::state::hook::HookSignature;
pub use crate::state::meeting::Document;
pub use crate::state::recording::{PlaybackFormat, Recording, RecordingState, TextTrack};
pub use crate::view::MeetingView;
