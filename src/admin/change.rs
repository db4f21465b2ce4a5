//! What operators change. Each change is one line of the audit log that says who.

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use crate::admin::Admin;
use crate::admin::access::Somebody;
use crate::admin::api::refused;
use crate::clock;
use crate::cluster::drain::Drain;
use crate::cluster::server::Mode;
use crate::state::operate::Refused;

/// The longest text that is told: what BBB shows as one message.
const MESSAGE_CHARS_MAX: usize = 500;
/// The latest end of a drain; whoever wants a later one has taken milliseconds for seconds.
const AHEAD_S_MAX: u64 = 366 * 24 * 3600;
/// By how much the clocks of two machines may differ.
const SKEW_S: u64 = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    mode: String,
    /// When the server is to be empty.
    until_unix_s: Option<u64>,
    /// What its meetings are told instead of the configuration's words; `""`: nothing.
    message: Option<String>,
}

impl Wanted {
    /// The mode and the drain that are asked for, or what is wrong.
    fn read(self, now_unix_s: u64) -> Result<(Mode, Drain), String> {
        let Some(mode) = Mode::of_name(&self.mode) else {
            let known = Mode::ALL.map(Mode::name).join(", ");
            return Err(format!("mode is one of {known}"));
        };
        if mode != Mode::Drain && (self.until_unix_s.is_some() || self.message.is_some()) {
            return Err("until_unix_s and message go with the mode drain only".to_owned());
        }
        if self.message.as_ref().is_some_and(|text| text.chars().count() > MESSAGE_CHARS_MAX) {
            return Err(format!("message is longer than {MESSAGE_CHARS_MAX} characters"));
        }
        if let Some(until) = self.until_unix_s {
            if until.saturating_add(SKEW_S) < now_unix_s {
                return Err("until_unix_s has passed".to_owned());
            }
            if until > now_unix_s.saturating_add(AHEAD_S_MAX) {
                return Err("until_unix_s is more than a year ahead".to_owned());
            }
        }
        let Self { until_unix_s, message, .. } = self;
        Ok((mode, Drain { since_unix_s: now_unix_s, until_unix_s, message }))
    }
}

pub(crate) async fn set_mode(
    Shared(admin): Shared<Admin>,
    Extension(somebody): Extension<Somebody>,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Response {
    let (mode, drain) = match wanted.read(clock::unix_s()) {
        Ok(wanted) => wanted,
        Err(why) => return refused(StatusCode::UNPROCESSABLE_ENTITY, &why),
    };
    let until = drain.until_unix_s.map_or_else(|| "-".to_owned(), |until| until.to_string());
    let told = drain.message.is_some();
    match admin.state.set_mode(&name, mode, drain).await {
        Ok(standing) => {
            log::info!(
                target: "tinyscale::audit",
                "mode set; server={} mode={} until_unix_s={until} own_message={told} by={}",
                standing.name, mode.name(), somebody.name
            );
            Json(admin.row(standing.name.as_str())).into_response()
        }
        Err(why) => no(&why),
    }
}

/// Says that a server that does not answer is lost, with its meetings.
pub(crate) async fn give_up(
    Shared(admin): Shared<Admin>,
    Extension(somebody): Extension<Somebody>,
    Path(name): Path<String>,
) -> Response {
    match admin.state.give_up(&name) {
        Ok(meetings) => {
            log::info!(
                target: "tinyscale::audit",
                "given up; server={name} meetings={meetings} by={}", somebody.name
            );
            Json(json!({ "name": name, "lost_meetings": meetings })).into_response()
        }
        Err(why) => no(&why),
    }
}

fn no(why: &Refused) -> Response {
    let status = match why {
        Refused::NoServer(..) => StatusCode::NOT_FOUND,
        Refused::Alive(..) => StatusCode::CONFLICT,
    };
    refused(status, &why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Mode, Drain), String> {
        serde_json::from_str::<Wanted>(json).unwrap().read(1_000_000)
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        let long = format!(r#"{{"mode": "drain", "message": "{}"}}"#, "ä".repeat(501));
        for (json, why) in [
            (r#"{"mode": "fly"}"#, "mode is one of serve, drain, disable"),
            (r#"{"mode": "serve", "message": "x"}"#, "drain only"),
            (r#"{"mode": "disable", "until_unix_s": 1000001}"#, "drain only"),
            (r#"{"mode": "drain", "until_unix_s": 999939}"#, "has passed"),
            (r#"{"mode": "drain", "until_unix_s": 1000000000}"#, "more than a year"),
            (&long, "longer than 500"),
        ] {
            assert!(read(json).unwrap_err().contains(why), "{json}");
        }
    }

    #[test]
    fn a_drain_has_an_end_and_words_if_it_is_given_them() {
        let (mode, drain) = read(r#"{"mode": "drain"}"#).unwrap();
        assert_eq!((mode, drain.since_unix_s), (Mode::Drain, 1_000_000));
        assert_eq!((drain.until_unix_s, drain.message), (None, None));
        let long = "ä".repeat(MESSAGE_CHARS_MAX);
        let json = format!(r#"{{"mode": "drain", "until_unix_s": 1000060, "message": "{long}"}}"#);
        let (_, drain) = read(&json).unwrap();
        assert_eq!((drain.until_unix_s, drain.message), (Some(1_000_060), Some(long)));
    }
}
