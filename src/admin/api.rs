//! The JSON of `/api/v1`.

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::admin::access::Somebody;
use crate::bbb::id::{KeyHash, MeetingId, TenantId};
use crate::cluster::meetings::Stage;
use crate::cluster::server::Mode;
use crate::metrics::snapshot::Server;

pub(crate) async fn servers(Shared(admin): Shared<Admin>) -> Json<Value> {
    Json(json!({ "servers": admin.servers().iter().map(row).collect::<Vec<_>>() }))
}

fn row(server: &Server) -> Value {
    json!({
        "name": server.name,
        "health": server.health.to_string(),
        "health_for_s": server.health_for.as_secs(),
        "mode": server.mode.name(),
        "leaving": server.is_leaving,
        "weight": server.weight,
        "tags": server.tags,
        "load": server.load,
        "reserved_seats": server.reserved_seats,
        "heard_s": server.heard.map(|age| age.as_secs()),
        "meetings": server.rooms.len(),
        "people": server.sum(|room| room.people),
        "voice": server.sum(|room| room.voice),
        "video": server.sum(|room| room.cameras),
        "largest_meeting": server.largest(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    mode: String,
}

pub(crate) async fn set_mode(
    Shared(admin): Shared<Admin>,
    Extension(somebody): Extension<Somebody>,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Response {
    let Some(mode) = Mode::of_name(&wanted.mode) else {
        let known = Mode::ALL.map(Mode::name).join(", ");
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &format!("mode is one of {known}"));
    };
    let set = {
        let mut cluster = admin.state.cluster();
        let found = cluster.members().find(|(_, member)| member.spec.name.as_str() == name);
        let found = found.map(|(id, _)| id);
        if let Some(id) = found {
            cluster.set_mode(id, mode);
        }
        found.is_some()
    };
    if !set {
        return refused(StatusCode::NOT_FOUND, "no such server");
    }
    log::info!(target: "tinyscale::audit", "mode set; server={name} mode={} by={}", mode.name(), somebody.name);
    let servers = admin.servers();
    Json(servers.iter().find(|server| server.name == name).map(row)).into_response()
}

pub(crate) async fn placements(Shared(admin): Shared<Admin>) -> Json<Value> {
    let now = admin.state.now();
    let cluster = admin.state.cluster();
    let lines = cluster.explanations().iter().map(|made| {
        let next = made.next.iter();
        let next = next.map(|next| json!({ "server": next.name.as_str(), "score": next.score }));
        json!({
            "age_s": now.since(made.at).as_secs(),
            "meeting": made.meeting,
            "server": made.chosen.name.as_str(),
            "score": made.chosen.score,
            "next": next.collect::<Vec<_>>(),
            "reason": made.reason,
            "candidates": made.candidates,
            "pool": made.pool.name(),
            "expected": made.expected,
            "known_from": made.source.name(),
            "retry": made.retry,
        })
    });
    Json(json!({ "placements": lines.collect::<Vec<_>>() }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sought {
    id: String,
}

/// Where the meeting is that a front end or its server calls so.
pub(crate) async fn find(Shared(admin): Shared<Admin>, Json(sought): Json<Sought>) -> Response {
    let Some(id) = MeetingId::new(&sought.id) else {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "this is no meeting ID");
    };
    let now = admin.state.now();
    let cluster = admin.state.cluster();
    let Some(meeting) = cluster.find(TenantId::DEFAULT, &id) else {
        return refused(StatusCode::NOT_FOUND, "no such meeting is running");
    };
    let server = cluster.member(meeting.server).map(|member| member.spec.name.as_str());
    let stage = match meeting.stage {
        Stage::Claimed(_) => "being made",
        Stage::Doubtful => "in doubt",
        Stage::Running => "running",
        Stage::Ending => "ending",
    };
    let hash = KeyHash::of(TenantId::DEFAULT, &meeting.key.id).to_string();
    Json(json!({
        "meeting": hash,
        "server": server,
        "stage": stage,
        "people": meeting.attendance.people(),
        "known_for_s": now.since(meeting.since).as_secs(),
        "create_time_ms": meeting.create_time_ms,
    }))
    .into_response()
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
