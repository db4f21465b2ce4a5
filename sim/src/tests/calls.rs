//! The smaller calls, and what every call has in common.

use crate::tests::{exchange, get, quick};
use crate::{Crowd, Fault, Profile, Sim, SimConfig};

#[tokio::test]
async fn answers_are_200_and_text_xml_even_if_they_fail() {
    let sim = quick().await;
    let answer = get(&sim, "getMeetingInfo", "meetingID=m1").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/xml;charset=UTF-8"));
    answer.expect("message", "A meeting with that ID does not exist");
    assert!(answer.body.starts_with("<response>"));
}

#[tokio::test]
async fn checksums_are_demanded() {
    let sim = quick().await;
    let cases = [("", "You must provide the checksum"), ("?checksum=1", "Checksums do not match")];
    for (query, message) in cases {
        let target = format!("/bigbluebutton/api/getMeetings{query}");
        let answer = exchange(sim.address(), "GET", &target, "", "").await.unwrap();
        answer.expect("messageKey", "checksumError");
        answer.expect("message", message);
    }
    let valid: Vec<_> = sim.calls().iter().map(|call| call.checksum).collect();
    assert_eq!(valid, [Some(false), Some(false)]);
}

#[tokio::test]
async fn no_meetings_is_a_success() {
    let sim = quick().await;
    let answer = get(&sim, "getMeetings", "").await;
    answer.expect("messageKey", "noMeetings");
    assert!(answer.body.contains("<meetings/>"));
    get(&sim, "isMeetingRunning", "meetingID=zz").await.expect("running", "false");
}

#[tokio::test]
async fn counts_come_with_separators_on_demand() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One&maxParticipants=5000").await;
    let crowd = Crowd { moderators: 1, viewers: 1200, voices: 3, listeners: 4, videos: 2 };
    assert!(sim.set_users("m1", crowd));
    let plain = get(&sim, "getMeetings", "").await;
    plain.expect("participantCount", "1201");
    plain.expect("voiceParticipantCount", "3");
    plain.expect("listenerCount", "4");
    plain.expect("videoCount", "2");
    sim.set_fault(Fault::LocaleNumbers, Some("getMeetings"));
    let grouped = get(&sim, "getMeetings", "").await;
    grouped.expect("participantCount", "1,201");
    grouped.expect("maxUsers", "5,000");
}

#[tokio::test]
async fn the_index_tells_the_release() {
    for (profile, has_graphql) in [(Profile::V27, false), (Profile::V30, true)] {
        let sim = Sim::start(SimConfig { profile, ..SimConfig::default() }).await.unwrap();
        for path in ["/bigbluebutton/api", "/bigbluebutton/api/", "/bigbluebutton/"] {
            let answer = exchange(sim.address(), "GET", path, "", "").await.unwrap();
            answer.expect("version", "2.0");
            answer.expect("bbbVersion", "");
            assert_eq!(answer.element("graphqlWebsocketUrl").is_some(), has_graphql);
        }
        let kind = "Content-Type: application/json\r\n";
        let json = exchange(sim.address(), "GET", "/bigbluebutton/api", kind, "").await.unwrap();
        assert!(json.body.starts_with("{\"response\":{"), "{json:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_pages() {
    let sim = quick().await;
    for (method, target, status) in [
        ("GET", "/bigbluebutton/api/getDefaultConfigXML", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/bigbluebutton/api/insertDocument", 405),
        ("DELETE", "/bigbluebutton/api/getMeetings", 405),
        ("GET", "/bigbluebutton/rtt-check", 200),
        ("GET", "/", 200),
    ] {
        let answer = exchange(sim.address(), method, target, "", "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {target}");
    }
    let long = format!("/bigbluebutton/api/create?welcome={}", "x".repeat(9000));
    assert_eq!(exchange(sim.address(), "GET", &long, "", "").await.unwrap().status, 414);
}

#[tokio::test]
async fn chat_needs_somebody_to_read_it() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await;
    let query = "meetingID=m1&message=Hello";
    get(&sim, "sendChatMessage", query).await.expect("messageKey", "meetingNotFound");
    sim.add_users("m1", 1);
    get(&sim, "sendChatMessage", query).await.expect("returncode", "SUCCESS");
    let chat = sim.meeting("m1").unwrap().chat;
    assert_eq!(chat, [("System".to_owned(), "Hello".to_owned())]);
}
