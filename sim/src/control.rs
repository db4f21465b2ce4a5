//! The control interface: everything a test does to servers, as JSON over HTTP, for scripts in any language.
//!
//! Refuses to protect itself: it has no password, so it belongs on a loopback address.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Sim;
use crate::params::decode;

mod actions;
mod faults;

/// Bodies above this are refused.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Connections served at once.
const CONNECTIONS_MAX: usize = 64;

/// Why a control request fails: the status and a sentence.
#[derive(Debug)]
pub(crate) struct Refused(StatusCode, String);

impl Refused {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }
}

/// Serves the control interface of `sims` until the listener fails. Paths are in the README.
pub async fn serve_control(listener: TcpListener, sims: Vec<Sim>) -> io::Result<()> {
    let sims: Arc<[Sim]> = sims.into();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return Ok(());
        };
        let (socket, _) = listener.accept().await?;
        let sims = Arc::clone(&sims);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&sims), request));
            // A connection that breaks concerns only the script at its other end.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            drop(slot);
        });
    }
}

async fn answer(
    sims: Arc<[Sim]>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, value) = match handle(&sims, request).await {
        Ok(value) => (StatusCode::OK, value),
        Err(Refused(status, message)) => (status, json!({ "error": message })),
    };
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn handle(sims: &[Sim], request: Request<Incoming>) -> Result<Value, Refused> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Refused::bad("the body is too long"))?.to_bytes();
    let body: Value = if body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(&body).map_err(|error| Refused::bad(error.to_string()))?
    };
    let path: Vec<String> = parts
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        // A plus sign in a path is a plus sign.
        .map(|part| decode(&part.replace('+', "%2B")).unwrap_or_else(|| part.to_owned()))
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = parts.uri.query().unwrap_or("");
    match path.as_slice() {
        [] | ["servers"] if parts.method == Method::GET => {
            let mut list = Vec::new();
            for (index, sim) in sims.iter().enumerate() {
                list.push(actions::summary(index, sim).await);
            }
            Ok(Value::Array(list))
        }
        ["servers", "all", rest @ ..] => {
            let mut list = Vec::new();
            for (index, sim) in sims.iter().enumerate() {
                list.push(actions::act(index, sim, &parts.method, rest, query, &body).await?);
            }
            Ok(Value::Array(list))
        }
        ["servers", number, rest @ ..] => {
            let index = number.parse::<usize>().ok();
            let found = index.and_then(|index| sims.get(index).map(|sim| (index, sim)));
            let (index, sim) =
                found.ok_or_else(|| Refused::missing(format!("there is no server {number}")))?;
            actions::act(index, sim, &parts.method, rest, query, &body).await
        }
        _ => Err(Refused::missing("unknown path; see the README of bbb-sim")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{exchange, get, quick};

    #[tokio::test]
    async fn scripts_can_do_what_tests_can() {
        let sim = quick().await;
        get(&sim, "create", "meetingID=room+1&name=One").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_control(listener, vec![sim.clone()]));
        let cases = [
            ("GET", "/servers", "", 200, "\"secret\":\"bbb-sim-secret\""),
            ("GET", "/servers/0/meetings", "", 200, "\"external_id\":\"room 1\""),
            (
                "POST",
                "/servers/0/meetings/room%201/users",
                r#"{"add":3}"#,
                200,
                "\"participants\":3",
            ),
            ("POST", "/servers/0/meetings/room%201/users", r#"{"remove":1}"#, 200, ":2"),
            ("POST", "/servers/0/meetings/room%201/breakouts", r#"{"count":2}"#, 200, "-"),
            ("POST", "/servers/0/meetings/none/users", r#"{"add":3}"#, 404, "error"),
            ("POST", "/servers/0/faults", r#"{"fault":"delay","ms":1,"times":2}"#, 200, "1"),
            ("POST", "/servers/all/faults", r#"{"fault":"status","status":503}"#, 200, "2"),
            ("POST", "/servers/0/faults", r#"{"fault":"no such"}"#, 400, "unknown variant"),
            ("POST", "/servers/0/recordings", r#"{"meeting_id":"m1"}"#, 200, "record_id"),
            ("GET", "/servers/0/calls?name=create", "", 200, "\"name\":\"create\""),
            ("GET", "/servers/7", "", 404, "there is no server 7"),
            ("GET", "/servers/0/nothing", "", 404, "unknown path"),
            ("POST", "/servers/0/stop", "", 200, "\"up\":false"),
            ("POST", "/servers/0/restart", "", 200, "\"up\":true"),
        ];
        for (method, path, body, status, part) in cases {
            let answer = exchange(address, method, path, "", body).await.unwrap();
            assert_eq!(answer.status, status, "{method} {path} {answer:?}");
            assert!(answer.body.contains(part), "{method} {path} {answer:?}");
        }
        assert_eq!(get(&sim, "getMeetings", "").await.status, 503);
        for (method, path) in [
            ("DELETE", "/servers/0/faults"),
            ("DELETE", "/servers/0/calls"),
            ("POST", "/servers/0/lose-all"),
        ] {
            assert_eq!(exchange(address, method, path, "", "").await.unwrap().status, 200);
        }
        assert_eq!((sim.fault_count(), sim.calls().len(), sim.meeting_count()), (0, 0, 0));
    }
}
