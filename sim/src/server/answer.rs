//! One request from bytes to bytes: read it, write it down, apply faults, let `api` process it.
//!
//! Refuses to know any call: what a call means is the business of `api`.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::future::pending;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::api;
use crate::api::inbound::Inbound;
use crate::calls::{ReceivedCall, header_list};
use crate::fault::Fault;
use crate::node::Node;
use crate::reply::{Reply, page};
use crate::server::Line;
use crate::server::graphql;
use crate::server::outgoing::Outgoing;
use crate::xml::Xml;

/// Answers `request`; pending for ever if a fault says so, which ends with the connection.
pub(crate) async fn answer(
    node: Arc<Node>,
    line: Line,
    mut request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if target.len() > node.config.target_bytes_max {
        return Ok(render(Reply::nginx(StatusCode::URI_TOO_LONG), Outgoing::whole));
    }
    let Ok(body) = Limited::new(body, node.config.body_bytes_max).collect().await else {
        return Ok(render(Reply::nginx(StatusCode::PAYLOAD_TOO_LARGE), Outgoing::whole));
    };
    let mut inbound = Inbound::new(&node, parts, body.to_bytes());
    write_down(&node, &inbound, target);
    let plan = node.faults().take(&inbound.call);
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    if let Some(reply) = plan.fault.as_ref().and_then(unprocessed) {
        return Ok(render(reply, Outgoing::whole));
    }
    match plan.fault {
        Some(Fault::Hang) => return pending().await,
        Some(Fault::ResetBefore) => {
            line.cut.pull();
            return pending().await;
        }
        Some(Fault::LocaleNumbers) => inbound.locale_numbers = true,
        _ => {}
    }
    if inbound.call == "graphql" {
        return Ok(graphql::answer(&node, &inbound, upgrade, line));
    }
    let reply = api::process(&node, &inbound);
    node.changed();
    let response = match plan.fault {
        Some(Fault::HangAfter) => return pending().await,
        Some(Fault::ResetAfter) => {
            line.cut.pull();
            return pending().await;
        }
        Some(Fault::ResetMidBody) => render(reply, |body| Outgoing::half(body, line.cut)),
        Some(Fault::Trickle(pause)) => render(reply, |body| Outgoing::slow(body, pause)),
        Some(Fault::TruncatedXml) => {
            render(reply, |body| Outgoing::whole(body.slice(..body.len() / 2)))
        }
        _ => render(reply, Outgoing::whole),
    };
    Ok(response)
}

/// The answer of a fault that does not process the call.
fn unprocessed(fault: &Fault) -> Option<Reply> {
    let reply = match fault {
        Fault::Status(status) => Reply::grails(
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        ),
        Fault::BadGateway => Reply::nginx(StatusCode::BAD_GATEWAY),
        Fault::Html200 => {
            Reply::html(StatusCode::OK, page("Maintenance", "This server will be back soon."))
        }
        Fault::Empty200 => Reply::xml(String::new()),
        Fault::WrongXml => Reply::xml("<unexpected><answer>42</answer></unexpected>\n".to_owned()),
        Fault::Oversized(bytes) => {
            let mut xml = Xml::response("SUCCESS");
            xml.leaf("padding", "x".repeat(*bytes));
            Reply::xml(xml.finish())
        }
        Fault::Delay(_)
        | Fault::Hang
        | Fault::HangAfter
        | Fault::ResetBefore
        | Fault::ResetAfter
        | Fault::ResetMidBody
        | Fault::TruncatedXml
        | Fault::LocaleNumbers
        | Fault::Trickle(_) => return None,
    };
    Some(reply)
}

fn write_down(node: &Node, inbound: &Inbound, target: String) {
    if let Some(path) = &node.config.journal {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let line = format!("{}\t{query}\n", inbound.call);
        let file = OpenOptions::new().create(true).append(true).open(path);
        // Whoever reads it sees that the line is missing.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
    node.calls().add(&inbound.call, |number| ReceivedCall {
        number,
        method: inbound.method.to_string(),
        name: inbound.call.clone(),
        target,
        headers: header_list(&inbound.headers),
        body: inbound.body.clone(),
        checksum: inbound.verdict.map(|verdict| verdict == crate::checksum::Verdict::Valid),
    });
    node.changed();
}

/// `reply` as hyper sends it. Values that no header can hold are dropped.
pub(crate) fn render(reply: Reply, body: impl FnOnce(Bytes) -> Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("nginx"));
    response
}
