//! Request bodies: parameters are read here, everything else is streamed to the server and never kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use pingora_proxy::Session;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bbb::fault::Fault;
use crate::gateway::request::Head;

/// How much of a body that nobody wants is still read, and how long that may take, so that the client has
/// read its answer before the connection is reset under it.
const DRAINED_BYTES_MAX: usize = 4 * 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(2);

/// How long a body of parameters may take: the largest at the speed of an old modem.
const READ_FOR: Duration = Duration::from_secs(120);

/// As many as Tomcat takes. Every one costs time, and that before anything is verified.
const PARAMETERS_MAX: usize = 10_000;

/// Every connection may keep this much of a body; what is more comes out of the common [`Room`].
const OWN_BYTES: usize = 64 * 1024;

/// Room for bodies of parameters, all connections together: anybody can send one.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// A part of the room, for as long as it is kept.
pub(crate) type Taken = OwnedSemaphorePermit;

impl Room {
    /// Room for `bytes`.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / OWN_BYTES)))
    }

    /// Takes one more part.
    fn take(&self, taken: &mut Option<Taken>) -> Result<(), Fault> {
        let more = self.0.clone().try_acquire_owned().map_err(|_| Fault::too_busy())?;
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }
}

/// Reads a body of parameters to its end. What it takes of the room is put into `taken`.
pub(crate) async fn read(
    session: &mut Session,
    bytes_max: u64,
    room: &Room,
    taken: &mut Option<Taken>,
) -> Result<BytesMut, Fault> {
    let reading = read_all(session, bytes_max, room, taken);
    let timely = tokio::time::timeout(READ_FOR, reading).await;
    let body = timely.unwrap_or(Err(Fault::request_incomplete()))?;
    if body.iter().filter(|byte| **byte == b'&').count() > PARAMETERS_MAX {
        return Err(Fault::malformed_request());
    }
    Ok(body)
}

async fn read_all(
    session: &mut Session,
    mut bytes_max: u64,
    room: &Room,
    taken: &mut Option<Taken>,
) -> Result<BytesMut, Fault> {
    if session.is_http2() {
        // What Pingora replays by itself; `forget` has no way to do better there.
        session.as_mut().enable_retry_buffering();
        bytes_max = bytes_max.min(64 * 1024);
    }
    let mut body = BytesMut::new();
    let mut allowed = OWN_BYTES;
    loop {
        match session.as_mut().read_request_body().await {
            Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > bytes_max => {
                return Err(Fault::body_too_large(bytes_max));
            }
            Ok(Some(chunk)) => {
                while body.len() + chunk.len() > allowed {
                    room.take(taken)?;
                    allowed += OWN_BYTES;
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return Ok(body),
            Err(_) => return Err(Fault::request_incomplete()),
        }
    }
}

/// Makes the request one without a body, whether that was read or counts for nothing.
///
/// Pingora replays a body that was read before it proxies only up to 64 KiB, and would wait for ever for the
/// rest of a longer one. So it is given a bare request in place of the one it has, whose header is then put
/// back without what announced a body: from here on the request is a GET's equal, for every server it is sent
/// to, and `request_body_filter` writes the body that the server is to have. The connection is closed after
/// the answer, and what else is on it is never read as a request.
pub(crate) async fn forget(session: &mut Session) -> pingora_core::Result<()> {
    let mut header = session.req_header().clone();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT] {
        header.remove_header(&name);
    }
    if session.is_http2() {
        return Ok(());
    }
    let bare = BytesMut::from(&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..]);
    session.as_mut().set_pipelined_prefix(bare);
    session.as_mut().read_request().await?;
    *session.as_mut().req_header_mut() = header;
    session.set_keepalive(None);
    Ok(())
}

/// Reads on for a moment after an answer that came before the body's end: a connection that is closed with
/// unread bytes is reset, and the reset may overtake the answer.
pub(crate) async fn drain(session: &mut Session, head: &Head) {
    // Who waits for a word before sending gets none, and sends nothing.
    if head.expects_continue && session.as_mut().body_bytes_read() == 0 {
        return;
    }
    let reading = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = session.as_mut().read_request_body().await {
            seen += chunk.len();
            if seen > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    // Whoever is slower than that sends for its own sake.
    let _ = tokio::time::timeout(DRAINED_FOR, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_shared_bounded_and_given_back() {
        let room = Room::of(3 * OWN_BYTES);
        let (mut one, mut other) = (None, None);
        room.take(&mut one).unwrap();
        room.take(&mut one).unwrap();
        room.take(&mut other).unwrap();
        assert_eq!(room.take(&mut other), Err(Fault::too_busy()));
        drop(one);
        room.take(&mut other).unwrap();
        room.take(&mut other).unwrap();
        assert_eq!(room.take(&mut other), Err(Fault::too_busy()));
    }
}
