//! join

use crate::cases::Ask::{Get, Post};
use crate::cases::Given::{Nothing, Room, RoomDown};
use crate::cases::Told::{Failed, Redirected};
use crate::cases::{Case, FORM, check};
use crate::harness::{World, fetch, http};

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("JO1", Nothing, Get("join", "fullName=Ada"), Failed("missingParamMeetingID", "You must provide a meeting ID")),
    ("JO2 M14", Nothing, Get("join", "meetingID=room&fullName=Ada&password=mp"), Failed("notFound", "A meeting with that ID does not exist")),
    ("JO3 M13", Room, Get("join", "meetingID=room&password=mp&fullName=Ada"), Redirected("meetingID=room&password=mp&fullName=Ada")),
    ("JO5: empty parameters stay", Room, Get("join", "test1=&meetingID=room&fullName=A+b&test2="), Redirected("test1=&meetingID=room&fullName=A+b&test2=")),
    ("clients M15: Greenlight's empty password beside a role", Room, Get("join", "fullName=Ada&meetingID=room&password=&role=Moderator"), Redirected("fullName=Ada&meetingID=room&password=&role=Moderator")),
    ("JO7", RoomDown, Get("join", "meetingID=room&password=mp&fullName=Ada"), Failed("serverUnavailable", "The server for this meeting is disabled/offline.")),
    ("JO9 M15: what the checksum does not cover is never signed for the server", Room, Post("join", "meetingID=room&fullName=Ada", FORM, "password=mp"), Failed("checksumError", "Checksums do not match")),
    ("new: an apostrophe that a browser escaped", Room, Get("join", "meetingID=room&fullName=O%27Neil"), Redirected("meetingID=room&fullName=O%27Neil")),
];

#[tokio::test]
async fn join() {
    check(CASES).await;
}

#[tokio::test]
async fn m13_and_clients_m16_without_redirect_the_server_itself_answers_in_xml() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room&name=nn&moderatorPW=mp").await.assert_success();
    let query = "meetingID=room&fullName=Ada&password=mp&redirect=false";
    let join = world.gateway.get("join", query).await;
    assert_eq!(join.status, 302);
    let followed = fetch(http().get(join.header("location"))).await;
    assert_eq!(followed.assert_success().text("messageKey"), "successfullyJoined");
}

#[tokio::test]
async fn clients_m5_two_kilobytes_of_style_arrive() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn&moderatorPW=mp").await.assert_success();
    let query = format!(
        "meetingID=room&fullName=Ada&password=mp&userdata-bbb_custom_style={}",
        "%3Aroot%7B".repeat(250)
    );
    let join = world.gateway.get("join", &query).await;
    let at_server = fetch(http().get(join.header("location"))).await;
    assert_eq!(at_server.status, 302);
    assert!(at_server.header("location").contains("sessionToken="), "{at_server:?}");
}
