//! `create`: makes a meeting, or finds that it is there already (`bbb-api.md` 2.2, 7).
//!
//! Refuses to change a meeting that exists: a repeated call updates nothing.

use std::sync::Arc;

use http::StatusCode;

use crate::api::documents;
use crate::api::guard::Failure;
use crate::api::inbound::Inbound;
use crate::clock;
use crate::node::Node;
use crate::params::Params;
use crate::reply::Reply;
use crate::state::State;
use crate::state::meeting::Meeting;
use crate::xml::Xml;

pub(crate) const MEETING_ID_MISSING: Failure =
    ("missingParamMeetingID", "You must provide a meeting ID");

pub(crate) fn create(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let params = &inbound.params;
    let external = match checked(params) {
        Ok(external) => external,
        Err((key, message)) => return Reply::failed(key, message),
    };
    let Ok(documents) = documents::read(inbound) else {
        // Releases before 4.0 fail this way.
        return Reply::grails(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut state = node.state();
    if let Some(meeting) = state.by_external(&external) {
        return repeated(meeting, params);
    }
    let bridge = match params.filled("voiceBridge") {
        Some(bridge) if state.bridge_taken(&bridge) => {
            return Reply::failed_list(
                "nonUniqueVoiceBridge",
                "The selected voice bridge is already in use.",
            );
        }
        Some(bridge) => bridge,
        None => state.free_bridge(),
    };
    let mut meeting = Meeting::from_params(params, &external, bridge, clock::now_ms());
    if params.is_true("isBreakout")
        && let Err((key, message)) = attach(&mut state, &mut meeting, params)
    {
        return Reply::failed(key, message);
    }
    meeting.documents = documents;
    let reply = success(&meeting, "", "");
    state.insert(meeting);
    reply
}

/// The external meeting ID, if the parameters are in order.
fn checked(params: &Params) -> Result<String, Failure> {
    let external = params.filled("meetingID").ok_or(MEETING_ID_MISSING)?;
    check_meeting_id(&external)?;
    let name = params.get("name").ok_or(("nullError", "You must provide a meeting name"))?;
    if name.is_empty() {
        return Err(("emptyError", "You must provide a meeting name"));
    }
    if !(2..=256).contains(&utf16_len(&name)) {
        return Err(("sizeError", "Meeting name must be between 2 and 256 characters"));
    }
    for password in ["attendeePW", "moderatorPW"] {
        let length = utf16_len(&params.get(password).unwrap_or_default());
        if length == 1 || length > 64 {
            return Err(("invalidPassword", "Invalid password"));
        }
    }
    let boolean = |name: &str| {
        params
            .filled(name)
            .is_none_or(|v| v.eq_ignore_ascii_case("true") || v.eq_ignore_ascii_case("false"))
    };
    if !boolean("record") {
        return Err(("validationError", "Record must be a boolean value (true or false)"));
    }
    if params.filled("voiceBridge").is_some() && params.number("voiceBridge").is_none() {
        return Err(("validationError", "Voice bridge must be an integral value"));
    }
    Ok(external)
}

/// The rules for a meeting ID that every call shares.
pub(crate) fn check_meeting_id(id: &str) -> Result<(), Failure> {
    if !(2..=256).contains(&utf16_len(id)) {
        Err(("sizeError", "Meeting ID must be between 2 and 256 characters"))
    } else if id.contains(',') {
        Err(("validationError", "Meeting ID cannot contain ','"))
    } else {
        Ok(())
    }
}

/// Length as Java counts it.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The table of `bbb-api.md` 7.
fn repeated(meeting: &Meeting, params: &Params) -> Reply {
    let same = match (params.filled("attendeePW"), params.filled("moderatorPW")) {
        (None, None) => true,
        (Some(attendee), Some(moderator)) => {
            attendee == meeting.attendee_pw && moderator == meeting.moderator_pw
        }
        _ => false,
    };
    if same {
        success(
            meeting,
            "duplicateWarning",
            "This conference was already in existence and may currently be in progress.",
        )
    } else {
        Reply::failed(
            "idNotUnique",
            "A meeting already exists with that meeting ID.  Please use a different meeting ID.",
        )
    }
}

/// Makes `room` a breakout room of the parent that the parameters name.
fn attach(state: &mut State, room: &mut Meeting, params: &Params) -> Result<(), Failure> {
    let parent = params.filled("parentMeetingID").ok_or((
        "parentMeetingIDMissing",
        "No parent meeting ID was provided for the breakout room",
    ))?;
    let parent = state
        .meeting_mut(&parent)
        .ok_or(("parentMeetingDoesNotExist", "No parent meeting exists for the breakout room"))?;
    adopt(parent, room);
    Ok(())
}

/// Ties a breakout room to its parent; the room inherits metadata it does not have itself.
pub(crate) fn adopt(parent: &mut Meeting, room: &mut Meeting) {
    room.parent = Some(parent.internal_id.clone());
    for (name, value) in &parent.meta {
        room.meta.entry(name.clone()).or_insert_with(|| value.clone());
    }
    parent.breakouts.push(room.external_id.clone());
}

fn success(meeting: &Meeting, key: &str, message: &str) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("meetingID", &meeting.external_id)
        .leaf("internalMeetingID", &meeting.internal_id)
        .leaf("parentMeetingID", meeting.parent.as_deref().unwrap_or("bbb-none"))
        .leaf("attendeePW", &meeting.attendee_pw)
        .leaf("moderatorPW", &meeting.moderator_pw)
        .value("createTime", meeting.create_time)
        .leaf("voiceBridge", &meeting.voice_bridge)
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("createDate", clock::java_date(meeting.create_time))
        .value("hasUserJoined", meeting.has_user_joined)
        .value("duration", meeting.duration_min)
        .value("hasBeenForciblyEnded", false)
        .leaf("messageKey", key)
        .leaf("message", message);
    Reply::xml(xml.finish()).with(http::header::CACHE_CONTROL, "no-cache")
}
