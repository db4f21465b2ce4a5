//! What a server sends by itself: the callbacks of `bbb-api.md` 6.
//!
//! Refuses TLS: callbacks to `https` URLs are dropped. What is waiting to be sent again is in memory only,
//! and lost with the last handle's runtime.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::config::Profile;
use crate::jwt::{self, Signature};
use crate::node::Node;
use crate::params::encode;
use crate::state::meeting::{Meeting, Role};
use crate::state::recording::Recording;

/// How long a receiver may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Redirects that the probing request of 2.x follows.
const REDIRECTS_MAX: usize = 5;
/// Metadata that asks for the recording-ready callback, the last two for older front ends.
const READY_KEYS: [&str; 3] =
    ["bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url"];

/// Tells the front end that a meeting ended. Breakout rooms are not reported.
pub(crate) fn meeting_ended(node: &Arc<Node>, meeting: &Meeting) {
    if meeting.parent.is_some() {
        return;
    }
    let marks = format!("recordingmarks={}", meeting.recorded);
    if let Some(url) = meeting.meta.get("endcallbackurl") {
        let id = encode(&meeting.external_id);
        deliver(node, with_query(url, &format!("{marks}&meetingID={id}")));
    }
    if let Some(url) = &meeting.ended_url {
        let url = match node.config.profile {
            Profile::V27 => url.clone(),
            Profile::V30 => with_query(url, &marks),
        };
        deliver(node, url);
    }
}

fn with_query(url: &str, query: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}")
}

/// Gets `url` in the background until somebody answers 2xx or the retries are used up.
fn deliver(node: &Arc<Node>, url: String) {
    let retries = node.config.callback_retries.clone();
    let probes = node.config.profile == Profile::V27;
    node.runtime.spawn(async move {
        for pause in [Duration::ZERO].into_iter().chain(retries) {
            sleep(pause).await;
            if attempt(&url, probes).await {
                return;
            }
        }
    });
}

/// One delivery; 2.x first finds out where the URL leads, and insists on 200 there.
async fn attempt(url: &str, probes: bool) -> bool {
    let mut url = url.to_owned();
    if probes {
        match probe(url).await {
            Some(end) => url = end,
            None => return false,
        }
    }
    match Request::get(url).body(Full::default()) {
        Ok(request) => send(request).await.is_some_and(|answer| answer.status().is_success()),
        Err(_) => false,
    }
}

/// The URL behind all redirects, if it answers exactly 200.
async fn probe(mut url: String) -> Option<String> {
    for _ in 0..=REDIRECTS_MAX {
        let request = Request::get(&url)
            .header(header::USER_AGENT, "Mozilla/5.0 (bbb-sim)")
            .body(Full::default())
            .ok()?;
        let answer = send(request).await?;
        if answer.status() == StatusCode::OK {
            return Some(url);
        }
        if !answer.status().is_redirection() {
            return None;
        }
        url = answer.headers().get(header::LOCATION)?.to_str().ok()?.to_owned();
    }
    None
}

async fn send(request: Request<Full<Bytes>>) -> Option<Response<Incoming>> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    timeout(ANSWER_TIMEOUT, client.request(request)).await.ok()?.ok()
}

/// Sends a POST in the background, once.
fn post(node: &Node, request: Result<Request<Full<Bytes>>, http::Error>) {
    if let Ok(request) = request {
        node.runtime.spawn(send(request));
    }
}

/// Tells the front end that a recording can be watched: one POST per format, HS256, never repeated.
pub(crate) fn recording_ready(node: &Node, recording: &Recording) {
    let payload = json!({ "meeting_id": recording.meeting_id, "record_id": recording.record_id });
    let token = jwt::token(Signature::Hs256, &payload, &node.state().secret);
    let body = format!("signed_parameters={}", encode(&token));
    let urls = READY_KEYS.iter().filter_map(|key| recording.meta.get(*key));
    for url in urls.flat_map(|url| recording.formats.iter().map(move |_| url)) {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(body.clone()));
        post(node, request);
    }
}

/// Sends the learning analytics of a meeting, HS512. Says whether the meeting asked for them.
pub(crate) fn analytics(node: &Node, meeting: &Meeting, secret: &str) -> bool {
    let Some(url) = meeting.meta.get("analytics-callback-url") else {
        return false;
    };
    let now = clock::now_ms();
    let token = jwt::token(Signature::Hs512, &json!({ "exp": now / 1000 + 86_400 }), secret);
    let mut metadata: serde_json::Map<_, _> =
        meeting.meta.iter().map(|(name, value)| (name.replace('-', "_"), json!(value))).collect();
    metadata.insert("is_breakout".to_owned(), json!(meeting.parent.is_some().to_string()));
    metadata.insert("meeting_name".to_owned(), json!(meeting.name));
    let attendees: Vec<_> = meeting
        .users
        .iter()
        .map(|user| {
            json!({
                "ext_user_id": user.external_id, "name": user.name,
                "moderator": user.role == Role::Moderator,
                "engagement": { "chats": 0, "talks": 0, "raisehand": 0, "emojis": 0,
                                "poll_votes": 0, "talk_time": 0 },
            })
        })
        .collect();
    let body = json!({
        "version": "1.0", "meeting_id": meeting.external_id,
        "internal_meeting_id": meeting.internal_id,
        "data": {
            "metadata": metadata, "duration": now.saturating_sub(meeting.create_time) / 1000,
            "start": meeting.create_time.to_string(), "finish": now.to_string(),
            "attendees": attendees, "files": [], "polls": [],
        },
    });
    let request = Request::post(url)
        .header(header::USER_AGENT, "BigBlueButton Analytics Callback")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()));
    post(node, request);
    true
}
