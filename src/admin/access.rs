//! Who may do what: bearer tokens, compared in constant time. Without any token in the configuration everybody on
//! this machine may look, and nobody may change anything.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::settings::admin::{AdminSettings, AdminToken, Role};

/// Who may come.
pub(crate) struct Access {
    tokens: Vec<AdminToken>,
}

/// Somebody whose token was good.
#[derive(Debug, Clone)]
pub(crate) struct Somebody {
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl Access {
    pub(crate) fn new(settings: &AdminSettings) -> Self {
        Self { tokens: settings.tokens.clone() }
    }

    fn of(&self, request: &Request) -> Option<Somebody> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        if self.tokens.is_empty() {
            // A page on the web may have its name resolve to this machine; its browser then says that name.
            let local = text(header::HOST).is_none_or(is_this_machine);
            return local.then(|| Somebody { name: "-".to_owned(), role: Role::Viewer });
        }
        let shown = text(header::AUTHORIZATION)?;
        let (scheme, shown) = shown.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // All of them, whichever is right.
        let mut found = None;
        for token in &self.tokens {
            if token.token.is_shown(shown.trim()) {
                found = Some(Somebody { name: token.name.clone(), role: token.role });
            }
        }
        found
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Lets those pass who may; to look takes a viewer, and to change anything an operator.
pub(crate) async fn check(
    Shared(access): Shared<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(somebody) = access.of(&request) else {
        let body = Json(json!({ "error": "a token is needed: Authorization: Bearer TOKEN" }));
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
    };
    // A search is sent in a body so that no log of a proxy has the meeting's ID; it changes nothing.
    let looks = request.method() == Method::GET || request.uri().path() == "/api/v1/meetings/find";
    if !looks && somebody.role < Role::Operator {
        let body = Json(json!({ "error": "this token may only look; an operator's is needed" }));
        return (StatusCode::FORBIDDEN, body).into_response();
    }
    request.extensions_mut().insert(somebody);
    let mut response = next.run(request).await;
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_count_as_it() {
        for host in ["localhost:3006", "127.0.0.1", "[::1]:3006", "LOCALHOST"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["evil.example", "evil.example:3006", "10.0.0.1:3006", "127.0.0.1.evil.example"]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
