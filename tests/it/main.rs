//! All integration tests in one binary: it links once.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admin;
mod callbacks;
mod cases;
mod clients;
mod config;
mod drain;
mod edge;
mod failures;
mod fresh;
mod front_ends;
mod harness;
mod hooks;
mod join;
mod lifecycle;
mod meetings;
mod names;
mod operate;
mod process;
mod property;
mod reload;
mod tidy;
mod tls;
mod upgrade;
mod wire;
