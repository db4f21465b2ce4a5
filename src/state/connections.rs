//! The connections of clients, and how they are let go when another process takes over: each is told with its
//! next answer. Closing an idle one instead would lose the request that its client is sending at that moment.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::state::in_flight::{Guard, InFlight};

/// All connections of clients to this process.
#[derive(Debug, Default)]
pub struct Connections {
    open: InFlight,
    leaving: AtomicBool,
}

impl Connections {
    /// One is open, until the guard is dropped.
    pub fn open(&self) -> Guard {
        self.open.begin()
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.count()
    }

    /// Tells each with its next answer that it is the last one. False: no more.
    pub fn leave(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::Release);
    }

    /// Whether each is told so.
    pub fn are_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Resolves when none is open.
    pub async fn none(&self) {
        self.open.none().await;
    }
}
