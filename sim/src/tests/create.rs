//! `create`: the table of repeated calls, voice bridges, bodies, checks.

use crate::tests::{exchange, get, quick, target};
use crate::{Profile, Sim, SimConfig};

#[tokio::test]
async fn a_repeated_create_follows_the_table() {
    let sim = quick().await;
    let first = get(&sim, "create", "meetingID=m1&name=One&attendeePW=ap&moderatorPW=mp").await;
    first.expect("returncode", "SUCCESS");
    first.expect("messageKey", "");
    let time = first.element("createTime").unwrap();
    let cases = [
        ("attendeePW=ap&moderatorPW=mp", "duplicateWarning"),
        ("", "duplicateWarning"),
        ("attendeePW=ap&moderatorPW=xx", "idNotUnique"),
        ("attendeePW=ap", "idNotUnique"),
        ("moderatorPW=mp", "idNotUnique"),
    ];
    for (passwords, key) in cases {
        let query = format!("meetingID=m1&name=Other&meta_x=1&{passwords}");
        let again = get(&sim, "create", &query).await;
        again.expect("messageKey", key);
        if key == "duplicateWarning" {
            again.expect("createTime", time);
            again.expect("moderatorPW", "mp");
        } else {
            again.expect(
                "message",
                "A meeting already exists with that meeting ID.  Please use a different meeting ID.",
            );
        }
    }
    let meeting = sim.meeting("m1").unwrap();
    assert_eq!((meeting.name.as_str(), meeting.metadata.len()), ("One", 0));
}

#[tokio::test]
async fn passwords_made_up_refuse_ones_given_later() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await.expect("returncode", "SUCCESS");
    let query = "meetingID=m1&name=One&attendeePW=ap&moderatorPW=mp";
    get(&sim, "create", query).await.expect("messageKey", "idNotUnique");
}

#[tokio::test]
async fn a_taken_voice_bridge_is_an_error_list() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One&voiceBridge=70001")
        .await
        .expect("voiceBridge", "70001");
    let second = get(&sim, "create", "meetingID=m2&name=Two&voiceBridge=70001").await;
    second.expect("returncode", "FAILED");
    second.expect("key", "nonUniqueVoiceBridge");
    assert_eq!(second.element("messageKey"), None);
    sim.end("m1");
    get(&sim, "create", "meetingID=m2&name=Two&voiceBridge=70001")
        .await
        .expect("voiceBridge", "70001");
}

#[tokio::test]
async fn wrong_parameters_have_their_keys() {
    let sim = quick().await;
    let long = "x".repeat(257);
    let cases = [
        ("name=One".to_owned(), "missingParamMeetingID"),
        ("meetingID=x&name=One".to_owned(), "sizeError"),
        (format!("meetingID={long}&name=One"), "sizeError"),
        ("meetingID=a,b&name=One".to_owned(), "validationError"),
        ("meetingID=m1".to_owned(), "nullError"),
        ("meetingID=m1&name=".to_owned(), "emptyError"),
        ("meetingID=m1&name=One&record=maybe".to_owned(), "validationError"),
        ("meetingID=m1&name=One&voiceBridge=abc".to_owned(), "validationError"),
        ("meetingID=m1&name=One&attendeePW=x".to_owned(), "invalidPassword"),
        ("meetingID=m1&name=One&isBreakout=true".to_owned(), "parentMeetingIDMissing"),
        (
            "meetingID=m1&name=One&isBreakout=true&parentMeetingID=zz".to_owned(),
            "parentMeetingDoesNotExist",
        ),
    ];
    for (query, key) in cases {
        let answer = get(&sim, "create", &query).await;
        assert_eq!(answer.status, 200);
        answer.expect("messageKey", key);
    }
    assert_eq!(sim.meeting_count(), 0);
}

#[tokio::test]
async fn slides_in_the_body_are_written_down() {
    let sim = quick().await;
    let target = target(&sim, "create", "meetingID=m1&name=One");
    let body =
        "<modules><module name='presentation'><document url='https://x/a.pdf'/></module></modules>";
    let kind = "Content-Type: application/xml\r\n";
    let answer = exchange(sim.address(), "POST", &target, kind, body).await.unwrap();
    answer.expect("returncode", "SUCCESS");
    assert_eq!(sim.meeting("m1").unwrap().documents[0].url.as_deref(), Some("https://x/a.pdf"));
    let broken = exchange(sim.address(), "POST", &target, kind, "<modules>").await.unwrap();
    assert_eq!(broken.status, 500);
}

#[tokio::test]
async fn content_types_matter_to_3_0_only() {
    for (profile, key) in [(Profile::V27, ""), (Profile::V30, "unsupportedContentType")] {
        let sim = Sim::start(SimConfig { profile, ..SimConfig::default() }).await.unwrap();
        let target = target(&sim, "create", "meetingID=m1&name=One");
        let kind = "Content-Type: application/xml; charset=utf-8\r\n";
        let answer = exchange(sim.address(), "POST", &target, kind, "<modules/>").await.unwrap();
        answer.expect("messageKey", key);
    }
}

#[tokio::test]
async fn breakout_rooms_know_their_parent_and_inherit_metadata() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One&meta_tenant=t").await;
    let rooms = sim.start_breakouts("m1", 2);
    let parent = sim.meeting("m1").unwrap();
    assert_eq!(parent.breakouts, rooms);
    let room = get(&sim, "getMeetingInfo", &format!("meetingID={}", rooms[0])).await;
    room.expect("isBreakout", "true");
    room.expect("parentMeetingID", &parent.internal_id);
    room.expect("sequence", "1");
    room.expect("tenant", "t");
    let info = get(&sim, "getMeetingInfo", "meetingID=m1").await;
    info.expect("breakout", &rooms[0]);
    sim.end("m1");
    assert_eq!(sim.meeting_count(), 0);
}
