//! Many servers' getMeetings as one: each meeting once, each element with its server's own bytes.

use std::collections::HashSet;
use std::ops::Range;

use crate::bbb::id::{InternalId, MeetingId};
use crate::bbb::meetings::SeenMeeting;
use crate::bbb::reply::Reply;
use crate::cluster::server::ServerId;

/// One server's answer, read.
#[derive(Debug, Clone, Copy)]
pub struct ServerList<'l> {
    /// Whose.
    pub server: ServerId,
    /// The whole answer.
    pub body: &'l [u8],
    /// The meetings in it.
    pub meetings: &'l [SeenMeeting],
}

/// Merges `lists` in their order. `home` tells where a meeting lives: should two servers list the same
/// external ID, the one that calls are sent to is shown.
pub fn meetings(lists: &[ServerList<'_>], home: impl Fn(&MeetingId) -> Option<ServerId>) -> Reply {
    let listed: HashSet<(ServerId, &MeetingId)> = lists
        .iter()
        .flat_map(|list| list.meetings.iter().map(|meeting| (list.server, &meeting.id)))
        .collect();
    let mut shown: HashSet<&InternalId> = HashSet::with_capacity(listed.len());
    let mut elements: Vec<&[u8]> = Vec::with_capacity(listed.len());
    for list in lists {
        for meeting in list.meetings {
            let elsewhere = home(&meeting.id)
                .is_some_and(|home| home != list.server && listed.contains(&(home, &meeting.id)));
            if !elsewhere && shown.insert(&meeting.internal) {
                elements.extend(slice(list.body, &meeting.bytes));
            }
        }
    }
    Reply::meetings(elements)
}

fn slice<'b>(body: &'b [u8], range: &Range<usize>) -> Option<&'b [u8]> {
    body.get(range.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::meetings::read;

    fn answer(meetings: &[(&str, &str)]) -> Vec<u8> {
        let elements: String = meetings
            .iter()
            .map(|(id, internal)| {
                format!("<meeting>\n<meetingID>{id}</meetingID><internalMeetingID>{internal}</internalMeetingID></meeting>")
            })
            .collect();
        format!(
            "<response><returncode>SUCCESS</returncode><meetings>{elements}</meetings></response>"
        )
        .into_bytes()
    }

    #[track_caller]
    fn check(answers: &[&[(&str, &str)]], home: Option<u32>, expected: &[(&str, &str)]) {
        let bodies: Vec<Vec<u8>> = answers.iter().map(|meetings| answer(meetings)).collect();
        let read: Vec<_> = bodies.iter().map(|body| read(body).unwrap()).collect();
        let lists: Vec<_> = (0..)
            .zip(bodies.iter().zip(&read))
            .map(|(server, (body, meetings))| ServerList {
                server: ServerId(server),
                body,
                meetings,
            })
            .collect();
        let merged = meetings(&lists, |_| home.map(ServerId));
        let expected =
            if expected.is_empty() { Reply::meetings([]).body } else { answer(expected).into() };
        assert_eq!(merged.body, expected);
    }

    #[test]
    fn lists_are_joined_in_order_with_their_bytes() {
        check(
            &[&[("a", "1")], &[], &[("b", "2"), ("c", "3")]],
            None,
            &[("a", "1"), ("b", "2"), ("c", "3")],
        );
        check(&[&[], &[]], None, &[]);
    }

    #[test]
    fn a_meeting_alive_twice_is_shown_where_calls_go() {
        check(&[&[("a", "1")], &[("a", "2")]], Some(1), &[("a", "2")]);
        check(&[&[("a", "1")], &[("a", "2")]], Some(0), &[("a", "1")]);
    }

    #[test]
    fn a_meeting_missing_from_its_home_is_shown_where_it_is() {
        check(&[&[("a", "1")], &[]], Some(1), &[("a", "1")]);
    }
}
