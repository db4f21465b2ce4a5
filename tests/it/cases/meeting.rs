//! getMeetings, getMeetingInfo, isMeetingRunning, end, insertDocument, sendChatMessage

use sim::Fault;

use crate::cases::Ask::{Form, Get, Plain, Post};
use crate::cases::Given::{
    AllDown, Nothing, Room, RoomDown, RoomFails, RoomWithAda, TwoRooms, TwoRoomsOneDown,
};
use crate::cases::Told::{Failed, Forwarded, Ok, That};
use crate::cases::{Case, FORM, SLIDES, Seen, check};
use crate::harness::{World, wait_for};

const NO_ID: crate::cases::Told = Failed("missingParamMeetingID", "You must provide a meeting ID");
const UNKNOWN: crate::cases::Told = Failed("notFound", "A meeting with that ID does not exist");
const UNREACHABLE: crate::cases::Told =
    Failed("internalError", "Unable to access meeting on server.");
const BAD_TYPE: crate::cases::Told =
    Failed("unsupportedContentType", "POST request Content-Type is missing or unsupported");
const NO_CALL: crate::cases::Told = Failed("unsupportedRequest", "This request is not supported.");
const NOT_RUNNING: crate::cases::Told = That(|seen| {
    seen.assert_xml();
    assert_eq!(seen.answer.assert_success().text("running"), "false");
    assert_eq!(seen.all_sent().len(), 0);
});

#[rustfmt::skip]
const LISTS: &[Case] = &[
    ("GM1", TwoRooms, Get("getMeetings", ""), That(both_rooms)),
    ("GM1 POST", TwoRooms, Form("getMeetings", "a=1"), That(both_rooms)),
    ("GM2 GM4 M21: FAILED there, the last known list here", TwoRoomsOneDown, Get("getMeetings", ""), That(both_rooms)),
    ("GM3 M19 clients M19", Nothing, Get("getMeetings", ""), That(no_rooms)),
    ("GM3: with no server up", AllDown, Get("getMeetings", ""), That(no_rooms)),
    ("GM6: unsigned, whatever is switched off", Nothing, Plain("GET", "/bigbluebutton/api/getMeetings"), Failed("checksumError", "You must provide the checksum")),
    ("M20", Room, Get("getMeetings", ""), That(|seen| assert_eq!(seen.texts("meetingID"), ["room"]))),
];

fn both_rooms(seen: &Seen) {
    seen.assert_xml();
    let mut ids = seen.texts("meetingID");
    ids.sort_unstable();
    assert_eq!(ids, ["room", "room2"]);
}

fn no_rooms(seen: &Seen) {
    seen.assert_xml();
    seen.answer.assert_success();
    assert_eq!(seen.answer.text("messageKey"), "noMeetings");
    assert_eq!(seen.answer.text("message"), "no meetings were found on this server");
    assert!(seen.answer.body.contains("<meetings/>"));
}

#[tokio::test]
async fn get_meetings() {
    check(LISTS).await;
}

#[rustfmt::skip]
const INFO: &[Case] = &[
    ("MI1", Room, Get("getMeetingInfo", "meetingID=room"), Forwarded("meetingID=room")),
    ("MI1 POST", Room, Form("getMeetingInfo", "meetingID=room"), Forwarded("meetingID=room")),
    ("MI1 POST, signed in the query", Room, Post("getMeetingInfo", "", FORM, "meetingID=room"), Forwarded("meetingID=room")),
    ("MI2 H4", RoomFails("getMeetingInfo", Fault::Hang), Get("getMeetingInfo", "meetingID=room"), UNREACHABLE),
    ("4.16: an HTML page with status 502", RoomFails("getMeetingInfo", Fault::BadGateway), Get("getMeetingInfo", "meetingID=room"), UNREACHABLE),
    ("clients 9: never notFound", RoomDown, Get("getMeetingInfo", "meetingID=room"), UNREACHABLE),
    ("MI3", Nothing, Get("getMeetingInfo", ""), NO_ID),
    ("MI4 M17 clients M18", Nothing, Get("getMeetingInfo", "meetingID=test"), UNKNOWN),
    ("new: an unknown meeting needs no server", AllDown, Get("getMeetingInfo", "meetingID=test"), UNKNOWN),
    ("4.16: another type", Room, Post("getMeetingInfo", "meetingID=room", "application/xml", "<a/>"), BAD_TYPE),
    ("clients 3.1: attendees by pages", Room, Get("getMeetingInfo", "meetingID=room&offset=0&limit=5"), Forwarded("meetingID=room&offset=0&limit=5")),
];

#[tokio::test]
async fn get_meeting_info() {
    check(INFO).await;
}

#[tokio::test]
async fn m18_a_meeting_is_found_by_its_internal_id() {
    let world = World::start(2).await;
    let created = world.gateway.get("create", "meetingID=room&name=nn").await;
    let query = format!("meetingID={}", created.text("internalMeetingID"));
    let info = world.gateway.get("getMeetingInfo", &query).await;
    assert_eq!(info.assert_success().text("meetingID"), "room");
}

#[rustfmt::skip]
const RUNNING: &[Case] = &[
    ("IR1", RoomWithAda, Get("isMeetingRunning", "meetingID=room"), Ok(&[("running", "true")])),
    ("IR1 POST", RoomWithAda, Form("isMeetingRunning", "meetingID=room"), Ok(&[("running", "true")])),
    ("IR1 empty", Room, Get("isMeetingRunning", "meetingID=room"), Forwarded("meetingID=room")),
    ("IR2", RoomFails("isMeetingRunning", Fault::Hang), Get("isMeetingRunning", "meetingID=room"), UNREACHABLE),
    ("IR3", Nothing, Get("isMeetingRunning", ""), NO_ID),
    ("IR4 M16", Nothing, Get("isMeetingRunning", "meetingID=unknown"), NOT_RUNNING),
    ("clients M17: Greenlight's health check", Nothing, Get("isMeetingRunning", "meetingID=0"), NOT_RUNNING),
    ("new: with no server up", AllDown, Get("isMeetingRunning", "meetingID=0"), NOT_RUNNING),
    ("4.16: another type", Room, Post("isMeetingRunning", "meetingID=room", "text/xml", "<a/>"), BAD_TYPE),
];

#[tokio::test]
async fn is_meeting_running() {
    check(RUNNING).await;
}

#[rustfmt::skip]
const END: &[Case] = &[
    ("EN1", Nothing, Get("end", ""), NO_ID),
    ("EN2", Nothing, Get("end", "meetingID=unknown"), UNKNOWN),
    ("EN2 with a password", Nothing, Get("end", "meetingID=unknown&password=mp"), UNKNOWN),
    ("EN3", Room, Get("end", "meetingID=room&password=mp"), Forwarded("meetingID=room&password=mp")),
    ("EN3 POST", Room, Form("end", "meetingID=room&password=mp"), Ok(&[("messageKey", "sentEndMeetingRequest")])),
    ("new: the wrong password", Room, Get("end", "meetingID=room&password=ap"), Failed("invalidPassword", "")),
    ("EN4: the record is kept until the server says otherwise", RoomFails("end", Fault::Hang), Get("end", "meetingID=room&password=mp"), That(|seen| {
        seen.answer.assert_failed("internalError");
        assert_eq!(seen.answer.text("message"), "Unable to access meeting on server.");
        assert!(seen.world.gateway.home("room").is_some());
    })),
    ("4.16: another type", Room, Post("end", "meetingID=room", "text/plain", "x"), BAD_TYPE),
];

#[tokio::test]
async fn end() {
    check(END).await;
}

#[tokio::test]
async fn m22_a_meeting_that_was_ended_is_not_found() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.gateway.get("end", "meetingID=room").await.assert_success();
    wait_for("the meeting to leave", || world.gateway.home("room").is_none()).await;
    world.gateway.get("end", "meetingID=room").await.assert_failed("notFound");
}

#[rustfmt::skip]
const OTHERS: &[Case] = &[
    ("ID1", Nothing, Post("insertDocument", "", "application/xml", SLIDES), NO_ID),
    ("ID2", Nothing, Post("insertDocument", "meetingID=unknown", "application/xml", SLIDES), UNKNOWN),
    ("ID3", Room, Post("insertDocument", "meetingID=room", "text/xml", SLIDES), That(|seen| {
        seen.answer.assert_success();
        let sent = seen.sent();
        assert_eq!((sent.method.as_str(), sent.header("content-type")), ("POST", Some("application/xml")));
        assert_eq!(sent.body, SLIDES);
        assert_eq!(seen.world.server_of("room").meeting("room").unwrap().documents.len(), 1);
    })),
    ("M25: as a call that does not exist, not 405", Room, Get("insertDocument", "meetingID=room"), NO_CALL),
    ("4.16: another type", Room, Post("insertDocument", "meetingID=room", FORM, "a=1"), BAD_TYPE),
    ("M26", RoomWithAda, Get("sendChatMessage", "meetingID=room&message=hi+all&userName=Bot"), Forwarded("meetingID=room&message=hi+all&userName=Bot")),
    ("M26 unknown", Nothing, Get("sendChatMessage", "meetingID=unknown&message=hi"), Failed("meetingNotFound", "")),
    ("new: a call of the future goes to its meeting's server", Room, Get("someFutureCall", "meetingID=room&x=1"), That(|seen| {
        seen.assert_xml();
        assert_eq!(seen.sent_future(), 1);
    })),
];

impl Seen {
    fn sent_future(&self) -> usize {
        self.world.sims.iter().map(|sim| sim.call_count("someFutureCall")).sum()
    }
}

#[tokio::test]
async fn documents_and_chat() {
    check(OTHERS).await;
}
