//! Recordings live as files on the server that made them: who has which, and one answer out of many.
//!
//! Decides what to ask which server and what to make of the answers. Asks nobody itself: no clock, socket,
//! file or task here.

pub mod filter;
pub mod id;
pub mod merge;
pub mod owners;
pub mod split;
pub mod track;

#[cfg(test)]
mod samples;
