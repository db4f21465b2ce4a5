//! create

use sim::Fault;

use crate::cases::Ask::{Form, Get, Post};
use crate::cases::Given::{AllDown, FirstFails, Nothing, Room, RoomDown, RoomFails};
use crate::cases::Told::{Failed, Forwarded, Ok, That};
use crate::cases::{Case, FORM, SLIDES, Seen, check};
use crate::harness::World;

const FAILED: crate::cases::Told = Failed("internalError", "Unable to create meeting on server.");

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("CR1 M6", Nothing, Get("create", ""), Failed("missingParamMeetingID", "You must provide a meeting ID")),
    ("new: an empty ID is none", Nothing, Get("create", "meetingID=&name=nn"), Failed("missingParamMeetingID", "")),
    ("CR2", AllDown, Get("create", "meetingID=room&name=nn"), Failed("internalError", "Could not find any available servers.")),
    ("CR3", Nothing, Get("create", "meetingID=room&name=nn&meta_server-tag=test-tag!"), Failed("serverTagUnavailable", "There is no available server with the required tag=test-tag.")),
    ("CR4 clients M11", Nothing, Get("create", "meetingID=room&moderatorPW=mp&voiceBridge=1234567&name=nn"), Forwarded("meetingID=room&moderatorPW=mp&voiceBridge=1234567&name=nn")),
    ("CR4: then it has a server", Nothing, Get("create", "meetingID=room&name=nn"), That(|seen| {
        seen.answer.assert_success();
        assert_eq!(seen.world.gateway.home("room").as_deref(), Some(seen.world.server_of("room").name()));
    })),
    ("clients M11: empty elements stay", Nothing, Get("create", "meetingID=room&name=nn"), That(|seen| {
        assert!(seen.answer.body.contains("<messageKey></messageKey>") || seen.answer.body.contains("<messageKey/>"));
        assert!(seen.answer.body.contains("<message></message>") || seen.answer.body.contains("<message/>"));
    })),
    ("CR7: the server of a known meeting fails", RoomFails("create", Fault::ResetBefore), Get("create", "meetingID=room&name=nn"), FAILED),
    ("CR7: the server of a known meeting is dead", RoomDown, Get("create", "meetingID=room&name=nn"), FAILED),
    ("H2: 500 before anything was made", FirstFails("create", Fault::Status(500)), Get("create", "meetingID=room&name=nn"), That(one_room)),
    ("4.16: an HTML page with status 502", FirstFails("create", Fault::BadGateway), Get("create", "meetingID=room&name=nn"), That(one_room)),
    ("new: made, but the answer was lost", FirstFails("create", Fault::ResetAfter), Get("create", "meetingID=room&name=nn"), That(one_room)),
    ("CR12: empty parameters stay", Nothing, Get("create", "test4=&meetingID=room&test2=&name=nn"), Forwarded("test4=&meetingID=room&test2=&name=nn")),
    ("CR17", Nothing, Form("create", "meetingID=room&moderatorPW=mp&voiceBridge=1234567&name=nn"), Forwarded("meetingID=room&moderatorPW=mp&voiceBridge=1234567&name=nn")),
    ("CR18 M8", Nothing, Post("create", "meetingID=room&name=nn", "application/xml", SLIDES), That(slides_arrive)),
    ("CR18 M9", Nothing, Post("create", "meetingID=room&name=nn", "text/xml", SLIDES), That(slides_arrive)),
    ("new: with a charset", Nothing, Post("create", "meetingID=room&name=nn", "application/xml; charset=utf-8", SLIDES), That(slides_arrive)),
    ("4.16: another type", Nothing, Post("create", "meetingID=room&name=nn", "application/json", "{}"), Failed("unsupportedContentType", "POST request Content-Type is missing or unsupported")),
    ("new: a query and a form", Nothing, Post("create", "meetingID=room&name=nn", FORM, "meta_a=1&meta_b=%2f"), Forwarded("meetingID=room&name=nn&meta_a=1&meta_b=%2f")),
    ("4.16: a form cannot override what was signed", Nothing, Post("create", "meetingID=room&name=nn", FORM, "name=other"), Failed("checksumError", "")),
    ("M1 clients M12", Room, Get("create", "meetingID=room&name=Maths&attendeePW=ap&moderatorPW=mp"), That(|seen| {
        one_room(seen);
        assert_eq!(seen.answer.text("messageKey"), "duplicateWarning");
        assert_eq!(seen.answer.text("createTime"), seen.world.server_of("room").meeting("room").unwrap().create_time.to_string());
    })),
    ("clients M12: without passwords, like Greenlight", Room, Get("create", "meetingID=room&name=Maths"), That(one_room)),
    ("M1: with other passwords", Room, Get("create", "meetingID=room&name=Maths&attendeePW=x1&moderatorPW=x2"), Failed("idNotUnique", "")),
    ("M5: BBB has the last word", Nothing, Get("create", "meetingID=room"), That(|seen| {
        seen.answer.assert_failed("nullError");
        assert_eq!(seen.world.copies("room"), 0);
        assert_eq!(seen.world.gateway.home("room"), None);
    })),
    ("M7: one character", Nothing, Get("create", "meetingID=r&name=nn"), Failed("sizeError", "")),
    ("M7: 101 characters", Nothing, Get("create", "name=nn&meetingID=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Ok(&[])),
    ("new: BBB allows no comma", Nothing, Get("create", "meetingID=a%2Cb&name=nn"), Failed("validationError", "")),
    ("C21", Nothing, Get("/create", "meetingID=room&name=nn"), That(|seen| { seen.answer.assert_failed("checksumError"); })),
];

fn one_room(seen: &Seen) {
    seen.assert_xml();
    seen.answer.assert_success();
    assert_eq!(seen.world.copies("room"), 1);
}

fn slides_arrive(seen: &Seen) {
    one_room(seen);
    let sent = seen.sent();
    assert_eq!(
        (sent.method.as_str(), sent.header("content-type")),
        ("POST", Some("application/xml"))
    );
    let server = seen.world.server_of("room");
    assert_eq!(sent.header("host"), Some(server.address().to_string().as_str()));
    assert_eq!(sent.body, SLIDES);
    assert_eq!(server.meeting("room").unwrap().documents.len(), 1);
}

#[tokio::test]
async fn create() {
    check(CASES).await;
}

#[tokio::test]
async fn c21_the_double_slash_of_greenlight() {
    let world = World::start(1).await;
    let query = crate::harness::signed("create", "meetingID=room&name=nn");
    let url = format!("{}//create?{query}", world.gateway.api());
    crate::harness::fetch(crate::harness::http().get(url)).await.assert_success();
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn m2_twenty_creates_of_one_id_make_one_meeting() {
    let world = World::start(2).await;
    let query = "meetingID=room&name=nn&attendeePW=ap&moderatorPW=mp";
    let creating = (0..20).map(|_| world.gateway.get("create", query));
    for answer in futures::future::join_all(creating).await {
        answer.assert_success();
    }
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn m3_forty_creates_at_once_are_spread_evenly() {
    let world = World::start(2).await;
    let queries: Vec<String> = (0..40).map(|n| format!("meetingID=room{n}&name=nn")).collect();
    let creating = queries.iter().map(|query| world.gateway.get("create", query));
    for answer in futures::future::join_all(creating).await {
        answer.assert_success();
    }
    assert_eq!(world.sims.iter().map(sim::Sim::meeting_count).collect::<Vec<_>>(), [20, 20]);
}

#[tokio::test]
async fn m4_ten_creates_on_empty_servers_are_spread_evenly() {
    let world = World::start(2).await;
    for n in 0..10 {
        let query = format!("meetingID=room{n}&name=nn");
        world.gateway.get("create", &query).await.assert_success();
    }
    assert_eq!(world.sims.iter().map(sim::Sim::meeting_count).collect::<Vec<_>>(), [5, 5]);
}

#[tokio::test]
async fn m10_and_clients_m5_long_queries_arrive() {
    let world = World::start(1).await;
    for (id, length) in [("room9", 9_000), ("room13", 13_000), ("room16", 16_000)] {
        let welcome = "x".repeat(length);
        let query = format!("meetingID={id}&name=nn&welcome={welcome}&meta_last=%2f");
        world.gateway.get("create", &query).await.assert_success();
        let params = world.sims[0].meeting(id).unwrap().params;
        assert!(params.contains(&("welcome".to_owned(), welcome)));
        assert!(params.contains(&("meta_last".to_owned(), "/".to_owned())));
    }
}

#[tokio::test]
async fn clients_m6_two_megabytes_of_slides_arrive() {
    let world = World::start(1).await;
    let slides = format!(
        "<modules><module name=\"presentation\"><document name=\"a.pdf\">{}</document></module></modules>",
        "A".repeat(2_000_000)
    );
    let create = "meetingID=room&name=nn";
    world.gateway.post("create", create, "application/xml", slides).await.assert_success();
    assert_eq!(world.sims[0].meeting("room").unwrap().documents[0].inline_bytes, 2_000_000);
}

#[tokio::test]
async fn m27_any_id_goes_there_and_back() {
    let world = World::start(2).await;
    for (raw, id) in [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%2Fb", "a/b"),
        ("a%26b%3Dc", "a&amp;b=c"),
        ("%C3%BCml%C3%A4ut", "ümläut"),
        ("4f2a-7-3%5B12%5D", "4f2a-7-3[12]"),
        ("%F0%9F%98%80%F0%9F%98%80", "😀😀"),
    ] {
        let create = format!("meetingID={raw}&name=nn");
        assert_eq!(world.gateway.get("create", &create).await.text("meetingID"), id);
        let info = world.gateway.get("getMeetingInfo", &format!("meetingID={raw}")).await;
        assert_eq!(info.assert_success().text("meetingID"), id);
    }
}
