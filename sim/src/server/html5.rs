//! A stand-in for the HTML5 client: a page under any `…/html5client/`, with a cookie, and a WebSocket that sends
//! everything back, as sockjs of 2.x has one there.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use hyper::upgrade::OnUpgrade;

use crate::api::inbound::Inbound;
use crate::reply::page;
use crate::server::Line;
use crate::server::graphql::{Talk, switch};
use crate::server::outgoing::Outgoing;

/// The page, or the echo.
pub(crate) fn answer(inbound: &Inbound, upgrade: OnUpgrade, line: Line) -> Response<Outgoing> {
    if inbound.header(&header::UPGRADE) == "websocket" {
        let key = inbound.header(&header::SEC_WEBSOCKET_KEY);
        return switch(key, None, Talk::Echo, upgrade, line);
    }
    let text = page("Simulated client", "You are in.");
    let mut response = Response::new(Outgoing::whole(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html;charset=UTF-8"));
    headers.insert(header::SET_COOKIE, HeaderValue::from_static("client=here; Path=/; HttpOnly"));
    response
}
