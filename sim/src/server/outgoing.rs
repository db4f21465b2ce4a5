//! The body of an answer: whole, in slow pieces, or cut off in the middle.
//!
//! The announced length is always that of the whole body, so a cut shows as a cut.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::server::cut::Cut;

/// How long the first half is given to reach the peer before the reset.
const CUT_PAUSE: Duration = Duration::from_millis(20);
/// Into how many pieces a slow body is divided.
const PIECES: usize = 64;

/// A response body.
pub(crate) struct Outgoing {
    rest: Bytes,
    piece: usize,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Pulled when this many bytes are left.
    cut: Option<(Cut, usize)>,
}

impl Outgoing {
    /// The whole body at once.
    pub(crate) fn whole(body: Bytes) -> Self {
        let piece = body.len().max(1);
        Self { rest: body, piece, pause: Duration::ZERO, waiting: None, cut: None }
    }

    /// Small pieces with a pause between them.
    pub(crate) fn slow(body: Bytes, pause: Duration) -> Self {
        let piece = body.len().div_ceil(PIECES).max(1);
        Self { piece, pause, ..Self::whole(body) }
    }

    /// The first half, then a reset.
    pub(crate) fn half(body: Bytes, cut: Cut) -> Self {
        let piece = body.len() / 2;
        let left = body.len() - piece;
        Self { piece, pause: CUT_PAUSE, cut: Some((cut, left)), ..Self::whole(body) }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.waiting {
            ready!(pause.as_mut().poll(cx));
            self.waiting = None;
        }
        if let Some((cut, left)) = &self.cut
            && self.rest.len() <= *left
        {
            cut.pull();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(size);
        if !self.pause.is_zero() {
            self.waiting = Some(Box::pin(sleep(self.pause)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
