//! What travels between tinyscale and a server: the request as the server gets it, and of the answer's header
//! what belongs to a client of tinyscale.

use http::{HeaderName, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use crate::bbb::call::BodyType;
use crate::gateway::exchange::{Errand, Exchange};
use crate::gateway::gzip::{self, Packer, Unpacker};
use crate::gateway::peers::Use;
use crate::gateway::request::accepts_gzip;
use crate::route::outgoing::OutgoingBody;

/// What goes on of an answer's header. Cookies confuse libraries (clients.md 3.1), and what a server says about
/// its own host, how long to trust it or whom to tell, is wrong for another one.
const KEPT: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::EXPIRES,
    header::LAST_MODIFIED,
];

/// The request as the server gets it: nothing of the client's header but what it needs.
pub(crate) fn write_request(session: &Session, errand: &Errand) -> Result<RequestHeader> {
    let received = session.req_header();
    let copy = |request: &mut RequestHeader, name: HeaderName| match received.headers.get(&name) {
        Some(value) => request.insert_header(name, value),
        None => Ok(()),
    };
    let method = match errand.outgoing.body {
        OutgoingBody::None => Method::GET,
        OutgoingBody::Form(_) | OutgoingBody::Received => Method::POST,
    };
    let mut request = RequestHeader::build(method, errand.outgoing.target.as_bytes(), Some(8))?;
    request.insert_header(header::HOST, errand.spec.url.authority())?;
    request.insert_header(header::ACCEPT, "*/*")?;
    copy(&mut request, header::USER_AGENT)?;
    if errand.purpose() != Use::Call {
        // It has its connection for itself. Leaving the pool by time alone would leave a moment in
        // which the next such call finds it there.
        request.insert_header(header::CONNECTION, "close")?;
    }
    match &errand.outgoing.body {
        OutgoingBody::None => {}
        OutgoingBody::Form(form) => {
            let form_type = "application/x-www-form-urlencoded";
            request.insert_header(header::CONTENT_TYPE, form_type)?;
            request.insert_header(header::CONTENT_LENGTH, form.len())?;
        }
        OutgoingBody::Received => {
            copy(&mut request, header::CONTENT_LENGTH)?;
            copy(&mut request, header::TRANSFER_ENCODING)?;
            let received_type = received.headers.get(header::CONTENT_TYPE);
            let text = received_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            // The first 3.0 releases compare the type as a string (bbb-api.md 1.5).
            if BodyType::of_content_type(text) == BodyType::Xml {
                request.insert_header(header::CONTENT_TYPE, "application/xml")?;
            } else {
                copy(&mut request, header::CONTENT_TYPE)?;
            }
        }
    }
    Ok(request)
}

/// The header of an answer that is one.
pub(crate) struct Judged {
    /// What of it goes on, without length and encoding.
    pub(crate) header: ResponseHeader,
    /// Reads the body, if the server compressed it.
    pub(crate) unpacker: Option<Unpacker>,
    /// The length that the server announced.
    pub(crate) bytes: Option<usize>,
}

/// Judges the header of an answer.
pub(crate) fn judge(answer: &ResponseHeader) -> Result<Judged> {
    if answer.status != StatusCode::OK {
        let status = answer.status.as_u16();
        return Error::e_explain(ErrorType::HTTPStatus(status), "instead of an answer");
    }
    let text = |name: HeaderName| {
        answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let bytes: Option<usize> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    // Without a body there is nothing to hold back and judge later.
    if bytes == Some(0) {
        return Error::e_explain(ErrorType::Custom("nonsense"), "the answer is empty");
    }
    // Nobody asked for either, but some proxy in front of a server may always do it.
    let unpacker = match text(header::CONTENT_ENCODING) {
        None | Some("" | "identity") => None,
        Some("gzip" | "x-gzip") => Some(Unpacker::default()),
        Some(_) => {
            return Error::e_explain(ErrorType::Custom("nonsense"), "an unknown Content-Encoding");
        }
    };
    let mut written = ResponseHeader::build(StatusCode::OK, Some(8))?;
    for name in KEPT {
        if let Some(value) = answer.headers.get(&name) {
            written.insert_header(name, value)?;
        }
    }
    Ok(Judged { header: written, unpacker, bytes })
}

/// Judges the header of an answer and turns it into the one that the client gets.
pub(crate) fn take_header(
    session: &Session,
    answer: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let Judged { header: mut written, unpacker, bytes } = judge(answer)?;
    exchange.unpacker = unpacker;
    // Servers mostly do not say how long their answers are.
    let is_large = bytes.is_none_or(|bytes| bytes >= gzip::WORTH_BYTES);
    if is_large && session.req_header().method != Method::HEAD {
        written.insert_header(header::VARY, "Accept-Encoding")?;
        if accepts_gzip(&session.req_header().headers) {
            written.insert_header(header::CONTENT_ENCODING, "gzip")?;
            exchange.packer = Some(Packer::default());
        }
    }
    *answer = written;
    Ok(())
}
