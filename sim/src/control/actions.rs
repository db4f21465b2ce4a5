//! What can be asked of one server through the control interface.
//!
//! Refuses logic of its own: every path is one method of [`Sim`].

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::ReceivedCall;
use crate::control::{Refused, faults};
use crate::params::Params;
use crate::state::crowd::Crowd;
use crate::state::recording::Recording;
use crate::{MeetingView, Sim};

/// One server in a few words.
pub(crate) async fn summary(index: usize, sim: &Sim) -> Value {
    json!({
        "index": index, "name": sim.name(), "url": sim.url(), "secret": sim.secret(),
        "up": sim.is_up().await, "meetings": sim.meeting_count(), "faults": sim.fault_count(),
    })
}

/// Carries out `method` on `path`, which is relative to the server.
pub(crate) async fn act(
    index: usize,
    sim: &Sim,
    method: &Method,
    path: &[&str],
    query: &str,
    body: &Value,
) -> Result<Value, Refused> {
    match (method.as_str(), path) {
        ("GET", []) => {}
        ("GET", ["meetings"]) => return Ok(json!(sim.meetings())),
        ("GET", ["meetings", id]) => return view(sim, id),
        ("POST", ["meetings", id, action]) => return on_meeting(sim, id, action, body),
        ("GET", ["calls"]) => return Ok(calls(sim, query)),
        ("DELETE", ["calls"]) => sim.clear_calls(),
        ("POST", ["faults"]) => faults::set(sim, body)?,
        ("DELETE", ["faults"]) => sim.clear_faults(),
        ("GET", ["recordings"]) => return Ok(json!(sim.recordings())),
        ("POST", ["recordings"]) => {
            let recording =
                Recording::deserialize(body).map_err(|error| Refused::bad(error.to_string()))?;
            return Ok(json!({ "record_id": sim.add_recording(recording) }));
        }
        ("POST", ["recordings", id, "publish"]) => {
            if !sim.publish_recording(id) {
                return Err(Refused::missing(format!("there is no recording {id}")));
            }
        }
        ("POST", ["lose-all"]) => sim.lose_all(),
        ("POST", ["stop"]) => sim.stop().await,
        ("POST", ["restart"]) => {
            sim.restart().await.map_err(|error| Refused::bad(error.to_string()))?;
        }
        _ => return Err(Refused::missing("unknown path; see the README of bbb-sim")),
    }
    Ok(summary(index, sim).await)
}

fn view(sim: &Sim, id: &str) -> Result<Value, Refused> {
    let meeting: Option<MeetingView> = sim.meeting(id);
    meeting.map_or_else(
        || Err(Refused::missing(format!("there is no meeting {id}"))),
        |meeting| Ok(json!(meeting)),
    )
}

fn on_meeting(sim: &Sim, id: &str, action: &str, body: &Value) -> Result<Value, Refused> {
    let count =
        |name: &str| body.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    view(sim, id)?;
    match action {
        "users" => {
            if let Some(add) = count("add") {
                sim.add_users(id, add.min(100_000))
            } else if let Some(remove) = count("remove") {
                sim.remove_users(id, remove)
            } else if let Some(set) = body.get("set") {
                let crowd =
                    Crowd::deserialize(set).map_err(|error| Refused::bad(error.to_string()))?;
                sim.set_users(id, crowd)
            } else {
                return Err(Refused::bad("say {\"add\": n}, {\"remove\": n} or {\"set\": {..}}"));
            }
        }
        "breakouts" => {
            return Ok(json!(sim.start_breakouts(id, count("count").unwrap_or(1).min(100))));
        }
        "end" => return Ok(json!({ "ending": sim.end(id) })),
        "forget" => return Ok(json!({ "forgotten": sim.forget(id) })),
        "admit-guests" => sim.admit_guests(id),
        "press-record" => sim.press_record(id),
        "analytics" => return Ok(json!({ "sent": sim.fire_analytics(id) })),
        _ => return Err(Refused::missing("unknown path; see the README of bbb-sim")),
    };
    view(sim, id)
}

fn calls(sim: &Sim, query: &str) -> Value {
    let wanted = Params::parse(query).filled("name");
    let chosen =
        |call: &ReceivedCall| wanted.as_deref().is_none_or(|wanted| wanted == call.name.as_str());
    sim.calls()
        .into_iter()
        .filter(chosen)
        .map(|call| {
            json!({
                "number": call.number, "method": call.method, "name": call.name,
                "target": call.target, "headers": call.headers, "checksum": call.checksum,
                "body": String::from_utf8_lossy(&call.body),
            })
        })
        .collect()
}
