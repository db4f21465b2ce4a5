//! Events of webhooks, as bbb-webhooks posts them (`bbb-api.md` 6.4).
//!
//! Refuses to know any event: what happened is the caller's to say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::checksum::Algorithm;
use crate::clock;
use crate::node::Node;
use crate::params::encode;
use crate::state::hook::{Hook, HookSignature};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends `event` to every hook that asked for it; how many.
pub(crate) fn fire(node: &Arc<Node>, id: &str, meeting: &str, event: &Value) -> usize {
    let state = node.state();
    let hooks: Vec<Hook> =
        state.hooks.iter().filter(|hook| wants(hook, id, meeting)).cloned().collect();
    let secret = state.secret.clone();
    drop(state);
    let event = format!("[{event}]");
    let now = clock::now_ms();
    for hook in &hooks {
        node.runtime.spawn(deliver(node.clone(), hook.clone(), event.clone(), now, secret.clone()));
    }
    hooks.len()
}

fn wants(hook: &Hook, id: &str, meeting: &str) -> bool {
    let of_meeting = hook.meeting.as_deref().is_none_or(|wanted| wanted == meeting);
    let events = hook.events.as_deref();
    of_meeting && events.is_none_or(|events| events.split(',').any(|wanted| wanted == id))
}

/// Tries until somebody takes it; a hook that nobody answers is dropped.
async fn deliver(node: Arc<Node>, hook: Hook, event: String, now: u64, secret: String) {
    let domain = node.address.to_string();
    let body = format!("domain={}&event={}&timestamp={now}", encode(&domain), encode(&event));
    let json = serde_json::json!(event);
    let hashed = match node.config.hook_signature {
        HookSignature::Json => {
            format!("{{\"event\":{json},\"timestamp\":{now},\"domain\":\"{domain}\"}}")
        }
        HookSignature::Braces => "{}".to_owned(),
        HookSignature::Body | HookSignature::Bearer => body.clone(),
    };
    let sum = Algorithm::Sha1.hex(&format!("{}{hashed}{secret}", hook.callback_url));
    let bearer = node.config.hook_signature == HookSignature::Bearer;
    let separator = if hook.callback_url.contains('?') { '&' } else { '?' };
    let url = if bearer {
        hook.callback_url.clone()
    } else {
        format!("{}{separator}checksum={sum}", hook.callback_url)
    };
    for pause in [Duration::ZERO].into_iter().chain(node.config.hook_retries.clone()) {
        sleep(pause).await;
        let mut request = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8");
        if bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let Ok(request) = request.body(Full::<Bytes>::from(body.clone())) else { return };
        let client = Client::builder(TokioExecutor::new()).build_http();
        if let Ok(Ok(answer)) = timeout(ANSWER_TIMEOUT, client.request(request)).await
            && (answer.status().is_success() || answer.status() == http::StatusCode::UNAUTHORIZED)
        {
            return;
        }
    }
    node.state().hooks.retain(|known| known.id != hook.id);
    node.changed();
}
