//! What to do with a call: the core's answer to every request. Pure: from a view of the cluster and a verified
//! call to a [`Decision`]; `gateway` carries it out.

pub mod browser;
pub mod merge;
pub mod outgoing;

use std::sync::Arc;

use crate::bbb::call::{BodyType, Call, CallName, Method};
use crate::bbb::fault::Fault;
use crate::bbb::id::{MeetingId, TenantId};
use crate::bbb::reply::Reply;
use crate::cluster::Cluster;
use crate::cluster::health::Health;
use crate::cluster::meetings::Stage;
use crate::cluster::placement::tags::TagWish;
use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::cluster::wish::Wish;
use crate::recording::id::RecordId;
use crate::recording::track;
use crate::route::outgoing::join_location;

/// What is to be done.
#[derive(Debug)]
pub enum Decision {
    /// Answer this.
    Reply(Reply),
    /// Send the browser there with a 302 that nobody may keep, and count who comes.
    Redirect(Redirect),
    /// Send the call to this server and its answer to the client.
    Forward(Forward),
    /// Find the meeting's server or place the meeting as wished, then forward.
    Place(MeetingId, Wish),
    /// Find the server that has the recording, then forward.
    OfRecording(RecordId),
    /// Ask all servers and answer with what they have together.
    FanOut(FanOut),
}

/// Where a browser goes.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The URL, with its checksum: a credential.
    pub location: String,
    /// The meeting it leads to.
    pub meeting: MeetingId,
}

/// Where a call goes.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Which server.
    pub server: ServerId,
    /// Its address and secret.
    pub spec: Arc<ServerSpec>,
    /// The meeting that the call is about.
    pub meeting: MeetingId,
}

/// Which answers are to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// getMeetings
    Meetings,
    /// getRecordings
    Recordings,
    /// publishRecordings, deleteRecordings, updateRecordings: each server its own
    RecordingChange,
}

/// Answers what needs no checksum, and refuses what no checksum could save: a name that is none, a method or
/// body that the call does not take, a future call that names no meeting. `None`: go on and verify.
pub fn before_verifying(
    name: &CallName,
    method: Method,
    body: BodyType,
    names_meeting: bool,
) -> Option<Reply> {
    if *name == CallName::Index {
        return Some(Reply::index());
    }
    let future = matches!(name, CallName::Other(_));
    if !name.is_plausible()
        || is_of_servers(name)
        || (future && !names_meeting)
        || !name.takes(method)
    {
        return Some(Reply::fault(&Fault::unsupported(), name.format()));
    }
    if method == Method::Post && !name.takes_body(body) {
        return Some(Reply::fault(&Fault::unsupported_content_type(), name.format()));
    }
    None
}

/// Calls that only the browser and its server share, and the registry of hooks, which is per server: sending
/// either to one of several servers would be wrong even if it carried a meetingID.
fn is_of_servers(name: &CallName) -> bool {
    const SESSION: [&str; 7] =
        ["enter", "stuns", "signOut", "guestWait", "learningDashboard", "getJoinUrl", "feedback"];
    let name = name.as_str();
    SESSION.contains(&name) || name.starts_with("hooks/") || name == "hooks"
}

/// What to do with a verified call (design section 2).
pub fn decide(cluster: &Cluster, tenant: TenantId, call: &Call) -> Decision {
    let name = call.name();
    if *name == CallName::GetMeetings {
        return Decision::FanOut(FanOut::Meetings);
    }
    if *name == CallName::GetRecordings {
        return Decision::FanOut(FanOut::Recordings);
    }
    if matches!(name, CallName::GetRecordingTextTracks | CallName::PutRecordingTextTrack) {
        return track::record_id(call).map_or_else(Decision::Reply, Decision::OfRecording);
    }
    if name.is_about_recordings() {
        return Decision::FanOut(FanOut::RecordingChange);
    }
    // The answer to a join is a URL signed for everybody to see: nothing unsigned may get into it (design
    // rule 5). Parameters that only a body carried and no checksum covers are such.
    if *name == CallName::Join && !call.form_is_signed() {
        return refuse(call, &Fault::checksum_mismatch());
    }
    match call.meeting_id() {
        None => refuse(call, &Fault::meeting_id_missing()),
        Some(id) if *name == CallName::Create => Decision::Place(id, wish(call)),
        Some(id) => about_meeting(cluster, tenant, call, id),
    }
}

fn about_meeting(cluster: &Cluster, tenant: TenantId, call: &Call, id: MeetingId) -> Decision {
    let meeting = cluster.find(tenant, &id);
    let known = meeting.map(|meeting| meeting.server);
    let Some(server) = known.or_else(|| cluster.recalled(tenant, &id)) else {
        return unknown_meeting(call);
    };
    let Some(member) = cluster.member(server) else {
        return refuse(call, &unreachable(call));
    };
    if member.mode == Mode::Disable || member.pulse.health() == Health::Down {
        return refuse(call, &unreachable(call));
    }
    if *call.name() == CallName::Join {
        // The server may still be fetching slides: to it, the meeting does not exist yet.
        if meeting.is_some_and(|meeting| matches!(meeting.stage, Stage::Claimed(_))) {
            return refuse(call, &Fault::meeting_not_ready());
        }
        let location = join_location(call, &member.spec);
        return Decision::Redirect(Redirect { location, meeting: id });
    }
    Decision::Forward(Forward { server, spec: member.spec.clone(), meeting: id })
}

/// What a create says about the meeting it wants. A hint that is no number is none.
fn wish(call: &Call) -> Wish {
    let size_hint = call.param("meta_bbb-meeting-size-hint");
    let tags = call.param("meta_server-tag");
    Wish {
        size_hint: size_hint.and_then(|hint| hint.trim().parse().ok()),
        tags: tags.map_or_else(TagWish::default, |tags| TagWish::parse(&tags)),
    }
}

/// BBB's own failure for that call; a join gets Scalelite's (`scalelite.md` JO2).
fn unknown_meeting(call: &Call) -> Decision {
    if *call.name() == CallName::IsMeetingRunning {
        return Decision::Reply(Reply::not_running());
    }
    let fault = if *call.name() == CallName::SendChatMessage {
        Fault::chat_meeting_not_found()
    } else {
        Fault::meeting_not_found()
    };
    refuse(call, &fault)
}

/// Never `notFound` for a meeting that is only out of reach (`clients.md` 9).
fn unreachable(call: &Call) -> Fault {
    if *call.name() == CallName::Join {
        Fault::server_unavailable()
    } else {
        Fault::meeting_unreachable()
    }
}

fn refuse(call: &Call, fault: &Fault) -> Decision {
    Decision::Reply(Reply::fault(fault, call.name().format()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::call::SignedCall;
    use crate::bbb::checksum::{Algorithm, sign};
    use crate::bbb::id::KeyHash;
    use crate::bbb::secret::Secret;
    use crate::cluster::moment::Moment;
    use crate::cluster::testing::{TENANT, id, seen, unknown, up};

    fn name(text: &str) -> CallName {
        CallName::of_path(&format!("/bigbluebutton/api/{text}")).unwrap()
    }

    fn call(text: &str, query: &str) -> Call {
        let secret = Secret::new("s").unwrap();
        let wire = sign(text, query, Algorithm::Sha1, &secret);
        SignedCall { name: &name(text), query: &wire, form: None }.verify(&[secret]).unwrap()
    }

    /// bbb1 has the meeting `m` and is in the given state.
    fn cluster(health: Health) -> Cluster {
        let mut cluster = up(2);
        cluster.observe(ServerId(0), &[seen("m", "i-1")], Moment(2), Moment(2));
        let failures = match health {
            Health::Up => 0,
            Health::Suspect => 1,
            Health::Down => 3,
        };
        for _ in 0..failures {
            cluster.failed(ServerId(0), Moment(3));
        }
        cluster
    }

    /// The decision in a few words.
    fn shown(decision: Decision) -> String {
        match decision {
            Decision::Reply(reply) => reply.key.unwrap_or("success").to_owned(),
            Decision::Redirect(to) => to.location.split_once("&checksum").unwrap().0.to_owned(),
            Decision::Forward(forward) => format!("to {}", forward.spec.name),
            Decision::Place(_, wish) => match (wish.size_hint, wish.tags.text()) {
                (None, "") => "place".to_owned(),
                (hint, tags) => format!("place {hint:?} {tags}"),
            },
            Decision::OfRecording(id) => format!("to the server of {id}"),
            Decision::FanOut(what) => format!("{what:?}"),
        }
    }

    #[track_caller]
    fn check(health: Health, text: &str, query: &str, expected: &str) {
        let decision = decide(&cluster(health), TENANT, &call(text, query));
        assert_eq!(shown(decision), expected, "{text}?{query} with bbb1 {health}");
    }

    #[test]
    fn known_meetings_go_to_their_server() {
        for text in
            ["getMeetingInfo", "isMeetingRunning", "end", "sendChatMessage", "someFutureCall"]
        {
            check(Health::Up, text, "meetingID=m", "to bbb1");
            check(Health::Up, text, "meetingID=i-1", "to bbb1");
            check(Health::Suspect, text, "meetingID=m", "to bbb1");
            check(Health::Down, text, "meetingID=m", "internalError");
        }
    }

    #[test]
    fn a_meeting_that_is_only_remembered_is_not_denied() {
        let mut cluster = unknown(2);
        cluster.recall([(KeyHash::of(TENANT, &id("m")), ServerId(0))]);
        let info = call("getMeetingInfo", "meetingID=m");
        assert_eq!(shown(decide(&cluster, TENANT, &info)), "internalError");
        cluster.observe(ServerId(0), &[], Moment(1), Moment(1));
        assert_eq!(shown(decide(&cluster, TENANT, &info)), "to bbb1");
        cluster.observe(ServerId(0), &[], Moment(2), Moment(2));
        assert_eq!(shown(decide(&cluster, TENANT, &info)), "notFound");
    }

    #[test]
    fn joins_are_sent_to_the_server_itself() {
        let expected = "http://bbb1.test/bigbluebutton/api/join?fullName=A+b&meetingID=m";
        check(Health::Up, "join", "fullName=A+b&meetingID=m", expected);
        check(Health::Down, "join", "fullName=A+b&meetingID=m", "serverUnavailable");
        check(Health::Up, "join", "meetingID=x", "notFound");
    }

    #[test]
    fn a_join_is_never_signed_with_parameters_that_were_not() {
        let secret = Secret::new("s").unwrap();
        let form = "meetingID=m&fullName=Ada";
        let decided = |wire: &str, form: &str| {
            let signed = SignedCall { name: &CallName::Join, query: wire, form: Some(form) };
            shown(decide(
                &cluster(Health::Up),
                TENANT,
                &signed.verify(std::slice::from_ref(&secret)).unwrap(),
            ))
        };
        assert_eq!(decided(&sign("join", "", Algorithm::Sha1, &secret), form), "checksumError");
        let partly = sign("join", "meetingID=m", Algorithm::Sha1, &secret);
        assert_eq!(decided(&partly, "role=MODERATOR"), "checksumError");
        let sorted = sign("join", "fullName=Ada&meetingID=m", Algorithm::Sha1, &secret);
        let sum = sorted.rsplit('&').next().unwrap();
        let expected = "http://bbb1.test/bigbluebutton/api/join?meetingID=m&fullName=Ada";
        assert_eq!(decided("", &format!("{form}&{sum}")), expected);
    }

    #[test]
    fn joins_wait_for_a_meeting_that_is_being_made() {
        let mut cluster = up(1);
        cluster.claim(TENANT, &MeetingId::new("m").unwrap(), &Wish::default(), Moment(2));
        let decision = decide(&cluster, TENANT, &call("join", "meetingID=m"));
        let Decision::Reply(reply) = decision else { panic!() };
        assert!(std::str::from_utf8(&reply.body).unwrap().contains("being created"));
    }

    #[test]
    fn unknown_meetings_get_the_calls_own_failure() {
        check(Health::Up, "getMeetingInfo", "meetingID=x", "notFound");
        check(Health::Up, "end", "meetingID=x", "notFound");
        check(Health::Up, "sendChatMessage", "meetingID=x", "meetingNotFound");
        check(Health::Up, "isMeetingRunning", "meetingID=0", "success");
        check(Health::Up, "isMeetingRunning", "meetingID=", "missingParamMeetingID");
    }

    #[test]
    fn creates_are_placed_and_lists_are_asked_everywhere() {
        check(Health::Down, "create", "meetingID=m", "place");
        check(Health::Up, "create", "name=n", "missingParamMeetingID");
        let wish = "meetingID=m&meta_bbb-meeting-size-hint=30&meta_server-tag=a%3Bb!";
        check(Health::Up, "create", wish, "place Some(30) a;b");
        check(Health::Up, "create", "meetingID=m&meta_bbb-meeting-size-hint=-5", "place");
        check(Health::Up, "getMeetings", "", "Meetings");
        check(Health::Up, "getRecordings", "meetingID=m", "Recordings");
        check(Health::Up, "publishRecordings", "recordID=r", "RecordingChange");
        check(Health::Up, "getRecordingTextTracks", "recordID=r", "to the server of r");
        check(Health::Up, "getRecordingTextTracks", "", "missingParamRecordID");
    }

    #[test]
    fn what_no_checksum_could_save() {
        let answer = |text: &str, method, body| {
            before_verifying(&name(text), method, body, true).map(|reply| reply.key)
        };
        let unsupported = Some(Some("unsupportedRequest"));
        assert_eq!(answer("", Method::Other, BodyType::None), Some(None));
        assert_eq!(answer("create", Method::Post, BodyType::Xml), None);
        assert_eq!(answer("create", Method::Other, BodyType::None), unsupported);
        assert_eq!(answer("join", Method::Post, BodyType::Form), None);
        assert_eq!(answer("enter", Method::Get, BodyType::None), unsupported);
        assert_eq!(answer("hooks/create", Method::Get, BodyType::None), unsupported);
        assert_eq!(answer("a%20b", Method::Get, BodyType::None), unsupported);
        assert_eq!(
            answer("end", Method::Post, BodyType::Unknown),
            Some(Some("unsupportedContentType"))
        );
        let nobody = before_verifying(&name("someCall"), Method::Get, BodyType::None, false);
        assert_eq!(nobody.unwrap().key, Some("unsupportedRequest"));
    }
}
