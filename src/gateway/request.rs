//! Requests as they arrive, read as far as a decision needs, and answers as they leave.

use bytes::{Bytes, BytesMut};
use pingora::http::ResponseHeader;
use pingora_core::Result;
use pingora_proxy::Session;

use crate::bbb::call::{BodyType, CallName, Method};
use crate::bbb::fault::Fault;
use crate::bbb::reply::Reply;

/// What Pingora can replay of a body, and so the largest form that is read.
const FORM_BYTES_MAX: usize = 64 * 1024;
const MIB: u64 = 1024 * 1024;

/// What the header of a request says.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) method: Method,
    pub(crate) body: BodyType,
    /// Announced length, if one was announced.
    pub(crate) body_bytes: Option<u64>,
    pub(crate) expects_continue: bool,
}

impl Head {
    pub(crate) fn of(session: &mut Session) -> Self {
        let has_body = !session.is_body_empty();
        let header = session.req_header();
        let text = |name: http::HeaderName| {
            header.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let method = match header.method {
            http::Method::GET | http::Method::HEAD => Method::Get,
            http::Method::POST => Method::Post,
            _ => Method::Other,
        };
        // A body counts only on a POST: PHP sends a Content-Type on every GET (clients.md M7).
        let body = if has_body && method == Method::Post {
            BodyType::of_content_type(text(http::header::CONTENT_TYPE))
        } else {
            BodyType::None
        };
        Self {
            path: header.uri.path().to_owned(),
            query: header.uri.query().unwrap_or_default().to_owned(),
            method,
            body,
            body_bytes: text(http::header::CONTENT_LENGTH).parse().ok(),
            expects_continue: text(http::header::EXPECT).eq_ignore_ascii_case("100-continue"),
        }
    }
}

/// The largest body that `name` may carry; embedded slides are documented up to 2 MB.
pub(crate) fn body_bytes_max(name: &CallName, body: BodyType) -> u64 {
    if body == BodyType::Form {
        return FORM_BYTES_MAX as u64;
    }
    if matches!(name, CallName::Create | CallName::InsertDocument) {
        8 * MIB
    } else if *name == CallName::PutRecordingTextTrack {
        64 * MIB
    } else {
        MIB
    }
}

/// Reads a form to its end; Pingora keeps what was read for the server.
pub(crate) async fn read_form(session: &mut Session) -> Result<std::result::Result<String, Fault>> {
    session.as_mut().enable_retry_buffering();
    let mut form = BytesMut::new();
    loop {
        match session.as_mut().read_request_body().await {
            Ok(Some(chunk)) => form.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return Ok(Err(Fault::request_incomplete())),
        }
        if form.len() > FORM_BYTES_MAX {
            return Ok(Err(Fault::body_too_large(FORM_BYTES_MAX as u64)));
        }
    }
    Ok(Ok(String::from_utf8_lossy(&form).into_owned()))
}

/// Sends `reply` as the whole answer.
pub(crate) async fn send(session: &mut Session, reply: &Reply) -> Result<()> {
    let mut header = ResponseHeader::build(200, Some(5))?;
    header.insert_header(http::header::CONTENT_TYPE, reply.format.content_type())?;
    header.insert_header(http::header::CONTENT_LENGTH, reply.body.len())?;
    header.insert_header(http::header::CACHE_CONTROL, "no-cache")?;
    session.write_response_header(Box::new(header), false).await?;
    session.write_response_body(Some(reply.body.clone()), true).await
}

/// Sends the browser to `location`; nobody may keep the answer, which opens a meeting.
pub(crate) async fn redirect(session: &mut Session, location: &str) -> Result<()> {
    let mut header = ResponseHeader::build(302, Some(5))?;
    header.insert_header(http::header::LOCATION, location)?;
    header.insert_header(http::header::CONTENT_LENGTH, 0)?;
    header.insert_header(http::header::CACHE_CONTROL, "no-store")?;
    header.insert_header(http::header::REFERRER_POLICY, "no-referrer")?;
    session.write_response_header(Box::new(header), false).await?;
    session.write_response_body(Some(Bytes::new()), true).await
}
