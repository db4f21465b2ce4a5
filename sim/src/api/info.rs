//! `getMeetingInfo`, `getMeetings` and `getSessions` (`bbb-api.md` 2.6, 2.7, 4).
//!
//! Refuses to reorder: fields come in the order of BBB's template.

use std::sync::Arc;

use crate::api::inbound::Inbound;
use crate::api::meeting::{NOT_FOUND, meeting_id};
use crate::clock;
use crate::node::Node;
use crate::reply::Reply;
use crate::state::meeting::{Meeting, Role, User};
use crate::xml::Xml;

pub(crate) fn meeting_info(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let id = match meeting_id(inbound) {
        Ok(id) => id,
        Err((key, message)) => return Reply::failed(key, message),
    };
    let state = node.state();
    let Some(meeting) = state.meeting(&id) else {
        return Reply::failed(NOT_FOUND.0, NOT_FOUND.1);
    };
    let mut xml = Xml::response("SUCCESS");
    write(&mut xml, meeting, inbound.locale_numbers);
    Reply::xml(xml.finish())
}

pub(crate) fn meetings(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let state = node.state();
    let mut xml = Xml::response("SUCCESS");
    let mut meetings = state.meetings().peekable();
    if meetings.peek().is_none() {
        xml.empty("meetings")
            .leaf("messageKey", "noMeetings")
            .leaf("message", "no meetings were found on this server");
    } else {
        xml.open("meetings");
        for meeting in meetings {
            xml.open("meeting");
            write(&mut xml, meeting, inbound.locale_numbers);
            xml.close("meeting");
        }
        xml.close("meetings");
    }
    Reply::xml(xml.finish()).with(http::header::CACHE_CONTROL, "no-cache")
}

pub(crate) fn sessions(node: &Arc<Node>, _inbound: &Inbound) -> Reply {
    let state = node.state();
    let mut xml = Xml::response("SUCCESS");
    if state.sessions.is_empty() {
        xml.empty("sessions")
            .leaf("messageKey", "noSessions")
            .leaf("message", "no sessions were found on this serverr");
        return Reply::xml(xml.finish());
    }
    xml.open("sessions");
    for session in state.sessions.values() {
        let Some(meeting) = state.meeting(&session.meeting) else { continue };
        let mut people = meeting.users.iter().chain(&meeting.registered);
        let Some(user) = people.find(|user| user.internal_id == session.user) else { continue };
        xml.open("meeting")
            .leaf("meetingID", &meeting.internal_id)
            .leaf("meetingName", &meeting.name)
            .leaf("userName", &user.name)
            .close("meeting");
    }
    xml.close("sessions");
    Reply::xml(xml.finish())
}

/// The fields of one meeting, the same in both calls.
fn write(xml: &mut Xml, meeting: &Meeting, locale: bool) {
    let count = |number: usize| grouped(number as u64, locale);
    xml.leaf("meetingName", &meeting.name)
        .leaf("meetingID", &meeting.external_id)
        .leaf("internalMeetingID", &meeting.internal_id)
        .value("createTime", meeting.create_time)
        .leaf("createDate", clock::java_date(meeting.create_time))
        .leaf("voiceBridge", &meeting.voice_bridge)
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("attendeePW", &meeting.attendee_pw)
        .leaf("moderatorPW", &meeting.moderator_pw)
        .value("running", !meeting.users.is_empty())
        .value("duration", meeting.duration_min)
        .value("hasUserJoined", meeting.has_user_joined)
        .value("recording", meeting.record)
        .value("hasBeenForciblyEnded", false)
        .value("startTime", meeting.create_time + 19)
        .value("endTime", 0)
        .leaf("participantCount", count(meeting.users.len()))
        .leaf("listenerCount", count(meeting.count(|user| user.listening)))
        .leaf("voiceParticipantCount", count(meeting.count(|user| user.voice)))
        .leaf("videoCount", count(meeting.cameras() as usize))
        .leaf("maxUsers", grouped(meeting.max_users, locale))
        .leaf("moderatorCount", count(meeting.count(|user| user.role == Role::Moderator)));
    xml.open("attendees");
    for (index, user) in meeting.users.iter().enumerate() {
        attendee(xml, user, index == 0);
    }
    xml.close("attendees").open("metadata");
    for (name, value) in &meeting.meta {
        xml.leaf(name, value);
    }
    xml.close("metadata").value("isBreakout", meeting.parent.is_some());
    if let Some(parent) = &meeting.parent {
        xml.leaf("parentMeetingID", parent)
            .value("sequence", meeting.sequence)
            .value("freeJoin", meeting.free_join);
    }
    if !meeting.breakouts.is_empty() {
        xml.open("breakoutRooms");
        for room in &meeting.breakouts {
            xml.leaf("breakout", room);
        }
        xml.close("breakoutRooms");
    }
}

fn attendee(xml: &mut Xml, user: &User, presenter: bool) {
    xml.open("attendee")
        .leaf("userID", &user.external_id)
        .leaf("fullName", &user.name)
        .leaf("role", user.role.name())
        .value("isPresenter", presenter)
        .value("isListeningOnly", user.listening)
        .value("hasJoinedVoice", user.voice)
        .value("hasVideo", user.cameras > 0)
        .leaf("clientType", "HTML5")
        .open("customdata");
    for (name, value) in &user.custom {
        xml.leaf(name, value);
    }
    xml.close("customdata").close("attendee");
}

/// `number` as old servers print it in an English locale, if `locale` says so.
fn grouped(number: u64, locale: bool) -> String {
    let digits = number.to_string();
    if !locale {
        return digits;
    }
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_on_demand() {
        let cases = [(7, "7"), (999, "999"), (1024, "1,024"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number, true), expected);
            assert_eq!(grouped(number, false), number.to_string());
        }
    }
}
