//! How long a connection may take to say what it wants. Pingora waits a minute for each read, so a client that
//! sends a byte now and then is waited for without end; here the whole header has one deadline.
//!
//! The connection counts from its first moment, TLS included. Whoever reads requests says when a header is
//! complete and when the answer is out; after that the next header's time begins with its first byte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

const HEADER: u8 = 0;
const REQUEST: u8 = 1;
const IDLE: u8 = 2;

/// What a connection and those who answer its requests share.
#[derive(Debug, Clone, Default)]
pub struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A header is complete.
    pub fn begin(&self) {
        self.0.store(REQUEST, Ordering::Release);
    }

    /// The answer is out.
    pub fn end(&self) {
        self.0.store(IDLE, Ordering::Release);
    }
}

/// The deadline of one connection.
#[derive(Debug)]
pub(crate) struct Patience {
    phase: Phase,
    header_time: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(phase: Phase, header_time: Duration) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep(header_time)));
        Self { phase, header_time, deadline }
    }

    /// To be asked with every read: whether the deadline has passed.
    pub(crate) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.phase.0.load(Ordering::Acquire) != HEADER {
            self.deadline = None;
            return false;
        }
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.as_mut().poll(context) == Poll::Ready(()))
    }

    /// Something came.
    pub(crate) fn heard(&mut self) {
        let began =
            self.phase.0.compare_exchange(IDLE, HEADER, Ordering::AcqRel, Ordering::Acquire);
        if began.is_ok() {
            self.deadline = Some(Box::pin(tokio::time::sleep(self.header_time)));
        }
    }
}
