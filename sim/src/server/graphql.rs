//! A stub of `/graphql`: a websocket for the owner of a session, which says hello and stays open.
//!
//! Refuses queries: `connection_init` is acknowledged, pings are answered, the rest is ignored.

use std::io;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::api::inbound::Inbound;
use crate::api::session;
use crate::jwt::base64url;
use crate::node::Node;
use crate::reply::Reply;
use crate::server::Line;
use crate::server::answer::render;
use crate::server::outgoing::Outgoing;

/// What RFC 6455 adds to the client's key.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const PROTOCOL: &str = "graphql-transport-ws";
/// Longer frames end the connection.
const FRAME_BYTES_MAX: u64 = 64 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Switches protocols if the session is right.
pub(crate) fn answer(
    node: &Node,
    inbound: &Inbound,
    upgrade: OnUpgrade,
    line: Line,
) -> Response<Outgoing> {
    let key = inbound.header(&header::SEC_WEBSOCKET_KEY);
    if session::of(node, &node.state(), inbound).is_none() {
        return render(Reply::nginx(StatusCode::UNAUTHORIZED), Outgoing::whole);
    }
    switch(key, Some(PROTOCOL), Talk::Hello, upgrade, line)
}

/// What is said after the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// What the middleware of `/graphql` says.
    Hello,
    /// Every byte comes back, frames or not.
    Echo,
}

/// Switches to a WebSocket.
pub(crate) fn switch(
    key: &str,
    protocol: Option<&'static str>,
    talk: Talk,
    upgrade: OnUpgrade,
    mut line: Line,
) -> Response<Outgoing> {
    let Ok(accept) = HeaderValue::from_str(&accept(key)) else {
        return render(Reply::nginx(StatusCode::BAD_REQUEST), Outgoing::whole);
    };
    if key.is_empty() {
        return render(Reply::nginx(StatusCode::BAD_REQUEST), Outgoing::whole);
    }
    tokio::spawn(async move {
        let talk = async {
            let io = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
            match talk {
                Talk::Hello => converse(io).await,
                Talk::Echo => {
                    let (mut from, mut to) = tokio::io::split(io);
                    tokio::io::copy(&mut from, &mut to).await.map(drop)
                }
            }
        };
        let mut talk = Box::pin(talk);
        tokio::select! {
            // However it ends, the other side will notice.
            _ = &mut talk => {}
            _ = line.stop.changed() => line.cut.pull(),
        }
        drop(talk);
        drop(line.held);
    });
    let mut response = Response::new(Outgoing::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    response
}

/// The proof that the server understood the handshake, in plain base64.
fn accept(key: &str) -> String {
    let hash = Sha1::digest(format!("{key}{KEY_SUFFIX}"));
    format!("{}=", base64url(&hash).replace('-', "+").replace('_', "/"))
}

/// Reads frames until the client closes.
async fn converse(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let [first, second] = read::<2>(&mut io).await?;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(read(&mut io).await?)),
            127 => u64::from_be_bytes(read(&mut io).await?),
            short => u64::from(short),
        };
        if length > FRAME_BYTES_MAX {
            return Ok(());
        }
        let mask: [u8; 4] = if second & 0x80 == 0 { [0; 4] } else { read(&mut io).await? };
        let mut payload = vec![0; length as usize];
        io.read_exact(&mut payload).await?;
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        match first & 0x0f {
            TEXT if payload.windows(15).any(|part| part == b"connection_init") => {
                write(&mut io, TEXT, br#"{"type":"connection_ack"}"#).await?;
            }
            PING => write(&mut io, PONG, &payload).await?,
            CLOSE => return write(&mut io, CLOSE, &payload).await,
            _ => {}
        }
    }
}

async fn read<const N: usize>(io: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// One unmasked frame; payloads above 125 bytes, which only a long ping asks for, are cut.
async fn write(io: &mut (impl AsyncWrite + Unpin), kind: u8, payload: &[u8]) -> io::Result<()> {
    let payload = &payload[..payload.len().min(125)];
    let mut frame = vec![0x80 | kind, payload.len() as u8];
    frame.extend_from_slice(payload);
    io.write_all(&frame).await?;
    io.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_follows_the_example_of_rfc_6455() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
