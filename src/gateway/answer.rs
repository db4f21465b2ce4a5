//! Answers as they leave: everything that tinyscale says itself goes out here.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
use pingora_core::Result;
use pingora_proxy::Session;

use crate::bbb::reply::Reply;
use crate::gateway::gzip;
use crate::gateway::page::{self, Page};
use crate::gateway::read::Relayed;
use crate::gateway::request::accepts_gzip;

/// When a server whose callback was not taken may try again.
const RETRY_AFTER_S: u32 = 30;

/// What a request is answered with here, or that a server answers it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// BBB's XML or JSON.
    Reply(Reply),
    /// A 302 that nobody may keep.
    Redirect(String),
    /// Words for people.
    Page(Page),
    /// This status, and nothing else: for servers, which read no more.
    Empty(StatusCode),
    /// This text, with this status: where nobody expects BBB.
    Text(StatusCode, Bytes),
    /// What was asked for is at this URL.
    Moved(StatusCode, String),
    /// A server's answer, held whole.
    Relayed(Arc<Relayed>),
    /// A server's answer, as it comes.
    Forward,
}

/// Sends `reply` as the whole answer.
pub(crate) async fn send(session: &mut Session, reply: &Reply) -> Result<()> {
    let mut answer = ResponseHeader::build(200, Some(7))?;
    answer.insert_header(header::CONTENT_TYPE, reply.format.content_type())?;
    answer.insert_header(header::CACHE_CONTROL, "no-cache")?;
    pack(session, answer, reply.body.clone()).await
}

/// Sends what a server answered.
pub(crate) async fn relay(session: &mut Session, relayed: &Relayed) -> Result<()> {
    pack(session, relayed.header.clone(), relayed.body.clone()).await
}

/// Compresses what is worth it, for who wants it so.
async fn pack(session: &mut Session, mut answer: ResponseHeader, mut body: Bytes) -> Result<()> {
    if body.len() >= gzip::WORTH_BYTES {
        answer.insert_header(header::VARY, "Accept-Encoding")?;
        if accepts_gzip(&session.req_header().headers) {
            answer.insert_header(header::CONTENT_ENCODING, "gzip")?;
            body = gzip::pack(&body);
        }
    }
    write(session, answer, body).await
}

/// Sends a status without a body.
pub(crate) async fn empty(session: &mut Session, status: StatusCode) -> Result<()> {
    let mut answer = ResponseHeader::build(status, Some(5))?;
    answer.insert_header(header::CACHE_CONTROL, "no-store")?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header(header::RETRY_AFTER, RETRY_AFTER_S)?;
    }
    write(session, answer, Bytes::new()).await
}

/// Sends the browser to `location`; nobody may keep the answer, which opens a meeting.
pub(crate) async fn redirect(session: &mut Session, location: &str) -> Result<()> {
    let mut answer = ResponseHeader::build(302, Some(6))?;
    answer.insert_header(header::LOCATION, location)?;
    private(&mut answer)?;
    write(session, answer, Bytes::new()).await
}

/// Sends the client to `location` for the same thing. Nobody keeps the answer: where that leads may change,
/// and what was asked for may open a meeting.
pub(crate) async fn moved(session: &mut Session, status: StatusCode, location: &str) -> Result<()> {
    let mut answer = ResponseHeader::build(status, Some(6))?;
    answer.insert_header(header::LOCATION, location)?;
    private(&mut answer)?;
    write(session, answer, Bytes::new()).await
}

/// Sends plain text.
pub(crate) async fn text(session: &mut Session, status: StatusCode, text: Bytes) -> Result<()> {
    let mut answer = ResponseHeader::build(status, Some(6))?;
    answer.insert_header(header::CONTENT_TYPE, "text/plain;charset=UTF-8")?;
    answer.insert_header(header::CACHE_CONTROL, "no-store")?;
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        answer.insert_header(header::RETRY_AFTER, RETRY_AFTER_S)?;
    }
    write(session, answer, text).await
}

/// Shows `page`, with HTTP status 200 as every answer on an API path (design rule 7): it is for the one who
/// opened the link, and what else might look at the status is told by XML.
pub(crate) async fn show(session: &mut Session, page: Page) -> Result<()> {
    let mut answer = ResponseHeader::build(200, Some(10))?;
    answer.insert_header(header::CONTENT_TYPE, "text/html;charset=UTF-8")?;
    answer.insert_header(header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY)?;
    answer.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    answer.insert_header("X-Robots-Tag", "noindex")?;
    private(&mut answer)?;
    write(session, answer, Bytes::from(page::render(page))).await
}

/// The URL that was asked for opens a meeting: it stays out of caches and Referer lines.
fn private(answer: &mut ResponseHeader) -> Result<()> {
    answer.insert_header(header::CACHE_CONTROL, "no-store")?;
    answer.insert_header(header::REFERRER_POLICY, "no-referrer")
}

async fn write(session: &mut Session, mut answer: ResponseHeader, body: Bytes) -> Result<()> {
    answer.insert_header(header::CONTENT_LENGTH, body.len())?;
    session.write_response_header(Box::new(answer), false).await?;
    session.write_response_body(Some(body), true).await
}
