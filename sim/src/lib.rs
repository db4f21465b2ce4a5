//! A simulated BigBlueButton server.
