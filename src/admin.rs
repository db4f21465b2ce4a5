//! What operators and monitoring ask, on a listener of its own that front ends and browsers of participants have
//! no business with. Says nothing of who is in a meeting, and no meeting's name or ID.

mod access;
mod api;
pub mod listener;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use serde_json::json;

use crate::admin::access::Access;
use crate::clock;
use crate::config::settings::admin::AdminSettings;
use crate::metrics::greenstatic::{self, Instance};
use crate::metrics::own;
use crate::metrics::snapshot::{self, Server};
use crate::state::State;

/// The longest body that anybody needs here.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the answers are made from.
#[derive(Clone)]
pub struct Admin {
    state: Arc<State>,
    access: Arc<Access>,
}

impl Admin {
    /// For the cluster in `state`.
    pub fn new(state: Arc<State>, settings: &AdminSettings) -> Self {
        Self { state, access: Arc::new(Access::new(settings)) }
    }

    /// All paths. Metrics need a token as everything else does, once there are tokens; whether it lives and is
    /// ready anybody may ask.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/metrics/bbb", get(metrics_of_all))
            .route("/metrics/bbb/{server}", get(metrics_of_one))
            .route("/sd/prometheus", get(discovery))
            .route("/api/v1/servers", get(api::servers))
            .route("/api/v1/servers/{server}/mode", put(api::set_mode))
            .route("/api/v1/placements", get(api::placements))
            .route("/api/v1/meetings/find", post(api::find))
            .layer(middleware::from_fn_with_state(self.access.clone(), access::check))
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }

    fn servers(&self) -> Vec<Server> {
        snapshot::take(&self.state.cluster(), self.state.now())
    }
}

fn exposition(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Ready is who could place a meeting now.
async fn ready(Shared(admin): Shared<Admin>) -> Response {
    if admin.servers().iter().any(Server::is_usable) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no server can take a meeting\n").into_response()
    }
}

async fn metrics(Shared(admin): Shared<Admin>) -> Response {
    let in_flight = admin.state.in_flight().count();
    exposition(own::write(&admin.servers(), admin.state.polls(), in_flight, clock::unix_s()))
}

async fn metrics_of_all(Shared(admin): Shared<Admin>) -> Response {
    let servers = admin.servers();
    let all: Vec<&Server> = servers.iter().collect();
    exposition(greenstatic::write(&all, admin.state.polls(), Instance::Label))
}

async fn metrics_of_one(Shared(admin): Shared<Admin>, Path(name): Path<String>) -> Response {
    let servers = admin.servers();
    match servers.iter().find(|server| server.name == name) {
        Some(one) => {
            exposition(greenstatic::write(&[one], admin.state.polls(), Instance::OfScraper))
        }
        None => (StatusCode::NOT_FOUND, "no such server\n").into_response(),
    }
}

/// Targets for Prometheus' `http_sd`: one per server, all of them at the address that was asked.
async fn discovery(Shared(admin): Shared<Admin>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = |server: Server| {
        json!({
            "targets": [host],
            "labels": {
                "__metrics_path__": format!("/metrics/bbb/{}", server.name),
                "instance": server.name,
            },
        })
    };
    Json(admin.servers().into_iter().map(target).collect::<Vec<_>>()).into_response()
}
