//! All integration tests in one binary: it links once.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod config;
mod failures;
mod harness;
mod lifecycle;
mod meetings;
mod names;
mod process;
mod tls;
