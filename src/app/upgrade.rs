//! Another program, or the same one anew, takes over without a refused or broken request.
//!
//! The old process starts the new one as its child, with one end of a pair of sockets as its standard input:
//! nothing in the file system could be opened by anybody else. It hands over its listeners and what it knows.
//! The new one reads its own configuration, opens the store, asks every server, accepts connections, and says
//! so. Only then does the old one stop to accept; it finishes what has begun. Whatever goes wrong before, the
//! old one goes on as if nothing had happened, and if the new one dies while the old one is still there, the
//! old one accepts again.
//!
//! While both are there both may be asked to make the same meeting. The store decides which of them does, one
//! of its own in a private folder if there is no `state_dir`; and what one has made the other does not deny
//! (`state::sibling`).

mod channel;
mod estate;
mod heir;
mod message;
mod predecessor;

pub(crate) use heir::Heir;
pub(crate) use message::Message;
pub(crate) use predecessor::Companion;
pub use predecessor::{Predecessor, Voice};

use std::ffi::OsString;
use std::path::PathBuf;

/// How this process was started, so that it can be started anew.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file as it was named, not as it was found: a link may lead to another one by now.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// The argument that tells a process that it takes over.
pub const TAKE_OVER: &str = "--take-over";
