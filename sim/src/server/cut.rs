//! A connection that can be reset: the peer sees ECONNRESET instead of an orderly end.
//!
//! Refuses to reset by itself; `server` and faults pull the cut, and dropping the stream does the rest.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The handle that resets one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pulled: AtomicBool,
    notify: Notify,
}

impl Cut {
    /// From now on dropping the stream resets the connection; wakes [`Self::pulled`].
    pub(crate) fn pull(&self) {
        self.inner.pulled.store(true, Ordering::SeqCst);
        self.inner.notify.notify_one();
    }

    /// Waits until somebody pulls. For one waiter.
    pub(crate) async fn pulled(&self) {
        self.inner.notify.notified().await;
    }
}

/// A TCP stream for hyper that resets on drop if its cut was pulled.
#[derive(Debug)]
pub(crate) struct CutStream {
    io: TokioIo<TcpStream>,
    cut: Cut,
}

impl CutStream {
    pub(crate) fn new(socket: TcpStream, cut: Cut) -> Self {
        Self { io: TokioIo::new(socket), cut }
    }
}

impl Drop for CutStream {
    fn drop(&mut self) {
        if self.cut.inner.pulled.load(Ordering::SeqCst) {
            // With no time to linger, close() sends RST. It fails only on a socket that is gone.
            let _ = self.io.inner().set_zero_linger();
        }
    }
}

impl Read for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
