//! The JSON of `/api/v1`.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::bbb::id::{KeyHash, MeetingId, TenantId};
use crate::clock;
use crate::cluster::health::Health;
use crate::cluster::meetings::Stage;
use crate::metrics::snapshot::Server;
use crate::state::operate::Standing;

pub(crate) async fn servers(Shared(admin): Shared<Admin>) -> Json<Value> {
    Json(json!({ "servers": admin.rows() }))
}

impl Admin {
    /// All servers as operators see them.
    fn rows(&self) -> Vec<Value> {
        let now_s = clock::unix_s();
        let (servers, standings) = (self.servers(), self.state.standings());
        let doubles = self.state.doubles();
        let rows = standings.iter().filter_map(|standing| {
            let name = standing.name.as_str();
            let server = servers.iter().find(|server| server.name == name)?;
            let twice = doubles.iter().find(|(on, _)| *on == standing.name);
            Some(row(server, standing, twice.map_or(0, |(_, twice)| twice.len()), now_s))
        });
        rows.collect()
    }

    /// One of them.
    pub(super) fn row(&self, name: &str) -> Option<Value> {
        self.rows().into_iter().find(|row| row["name"] == name)
    }
}

fn row(server: &Server, standing: &Standing, doubles: usize, now_s: u64) -> Value {
    let drain = standing.drain.as_ref().map(|drain| {
        json!({
            "since_unix_s": drain.since_unix_s,
            "until_unix_s": drain.until_unix_s,
            "message": drain.message,
        })
    });
    json!({
        "name": server.name,
        "health": server.health.to_string(),
        "since_unix_s": now_s.saturating_sub(standing.for_s),
        "mode": server.mode.name(),
        "leaving": server.is_leaving,
        "drain": drain,
        "overdue": standing.is_overdue(now_s),
        // Of a server that does not answer nobody knows whether it is empty.
        "drained": standing.is_drained() && standing.health == Health::Up,
        "weight": server.weight,
        "tags": server.tags,
        "load": server.load,
        "reserved_seats": server.reserved_seats,
        "heard_s": server.heard.map(|age| age.as_secs()),
        "meetings": standing.meetings,
        "people": standing.people,
        "voice": standing.voice,
        "cameras": standing.cameras,
        "largest": standing.largest,
        "doubles": doubles,
    })
}

/// What happened lately, the newest first.
pub(crate) async fn events(Shared(admin): Shared<Admin>) -> Json<Value> {
    let events = admin.state.events();
    let lines = events.iter().map(|event| {
        json!({
            "at_unix_s": event.at_unix_s,
            "kind": event.kind.name(),
            "server": event.server,
            "text": event.text,
        })
    });
    Json(json!({ "events": lines.collect::<Vec<_>>() }))
}

/// Meetings that are alive on a server although another one has them, by their internal IDs: whoever ends one of
/// the two on its server needs it.
pub(crate) async fn doubles(Shared(admin): Shared<Admin>) -> Json<Value> {
    let doubles = admin.state.doubles();
    let lines = doubles
        .iter()
        .map(|(server, twice)| json!({ "server": server.as_str(), "internal_ids": twice }));
    Json(json!({ "doubles": lines.collect::<Vec<_>>() }))
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

pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
