//! `join`: where it leads, how it fails, who counts.

use crate::tests::{exchange, get, quick, target};
use crate::{Profile, Sim, SimConfig};

#[tokio::test]
async fn who_joined_counts_once_their_browser_came() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=Room+One&moderatorPW=mp&attendeePW=ap").await;
    get(&sim, "isMeetingRunning", "meetingID=m1").await.expect("running", "false");
    let joined = get(&sim, "join", "meetingID=m1&fullName=Ann&password=mp&userID=u1").await;
    assert_eq!(joined.status, 302);
    let cookie = joined.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let location = joined.header("location").unwrap();
    let page = location.strip_prefix(&format!("http://{}", sim.address())).unwrap();
    assert!(page.starts_with("/html5client/?sessionToken="), "{page}");
    let info = get(&sim, "getMeetingInfo", "meetingID=m1").await;
    info.expect("participantCount", "0");
    info.expect("hasUserJoined", "false");

    let stranger = exchange(sim.address(), "GET", page, "", "").await.unwrap();
    assert_eq!(stranger.status, 401);
    let cookie = format!("Cookie: a=b; {cookie}\r\n");
    let client = exchange(sim.address(), "GET", page, &cookie, "").await.unwrap();
    assert_eq!(client.status, 200);
    assert!(client.body.contains("Room One") && client.body.contains("Ann"), "{client:?}");

    let info = get(&sim, "getMeetingInfo", "meetingID=m1").await;
    info.expect("participantCount", "1");
    info.expect("moderatorCount", "1");
    info.expect("userID", "u1");
    info.expect("fullName", "Ann");
    get(&sim, "isMeetingRunning", "meetingID=m1").await.expect("running", "true");
    get(&sim, "getSessions", "").await.expect("userName", "Ann");
    get(&sim, "end", "meetingID=m1&password=xx").await.expect("messageKey", "invalidPassword");
    get(&sim, "end", "meetingID=m1&password=mp")
        .await
        .expect("messageKey", "sentEndMeetingRequest");
    get(&sim, "getMeetingInfo", "meetingID=m1").await.expect("messageKey", "notFound");
}

#[tokio::test]
async fn the_client_of_2_7_is_elsewhere_and_takes_post() {
    let config = SimConfig { profile: Profile::V27, ..SimConfig::default() };
    let sim = Sim::start(config).await.unwrap();
    get(&sim, "create", "meetingID=m1&name=One").await;
    let target = target(&sim, "join", "meetingID=m1&fullName=Ann&role=viewer");
    let joined = exchange(sim.address(), "POST", &target, "", "").await.unwrap();
    assert!(joined.header("location").unwrap().contains("/html5client/join?sessionToken="));
    let v30 = quick().await;
    let refused = exchange(v30.address(), "POST", &target, "", "").await.unwrap();
    assert_eq!(refused.status, 405);
}

#[tokio::test]
async fn without_redirect_the_answer_is_xml() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await;
    let joined = get(&sim, "join", "meetingID=m1&fullName=Ann&role=VIEWER&redirect=false").await;
    assert_eq!(joined.status, 200);
    joined.expect("messageKey", "successfullyJoined");
    joined.expect("meeting_id", &sim.meeting("m1").unwrap().internal_id);
    assert!(joined.header("set-cookie").unwrap().starts_with("JSESSIONID="));
    assert_eq!(joined.element("session_token").unwrap().len(), 16);
}

#[tokio::test]
async fn failures_are_redirects_with_errors() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One&logoutURL=https://front/out").await;
    let cases = [
        ("meetingID=m2&fullName=A&role=VIEWER&redirect=false", "invalidMeetingIdentifier"),
        ("meetingID=m1&role=VIEWER", "missingParamFullName"),
        ("fullName=A&role=VIEWER", "missingParamMeetingID"),
        ("meetingID=m1&fullName=A&role=VIEWER&createTime=1", "mismatchCreateTimeParam"),
        ("meetingID=m1&fullName=A&role=VIEWER&existingUserID=w_x", "userNotFound"),
    ];
    for (query, key) in cases {
        let answer = get(&sim, "join", query).await;
        assert_eq!(answer.status, 302, "{query}");
        let location = answer.header("location").unwrap();
        assert!(location.contains(&format!("?errors=%5B%7B%22key%22:%22{key}%22,")), "{location}");
    }
    let query = "meetingID=m1&role=VIEWER&errorRedirectUrl=https://front/err";
    let location = get(&sim, "join", query).await.header("location").unwrap().to_owned();
    assert!(location.starts_with("https://front/err?errors="), "{location}");
    let unsigned = "/bigbluebutton/api/join?meetingID=m1&errorRedirectUrl=https://evil/";
    let answer = exchange(sim.address(), "GET", unsigned, "", "").await.unwrap();
    let location = answer.header("location").unwrap();
    assert!(location.contains("checksumError") && !location.contains("evil"), "{location}");
    let late = get(&sim, "join", "meetingID=m1&fullName=A&role=VIEWER&createTime=1&redirect=false");
    late.await.expect("messageKey", "mismatchCreateTimeParam");
}

#[tokio::test]
async fn wrong_passwords_are_xml() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await;
    let answer = get(&sim, "join", "meetingID=m1&fullName=A&password=xx").await;
    assert_eq!(answer.status, 200);
    answer.expect("messageKey", "Params required");
    answer.expect("message", "You must enter a valid password");
}

#[tokio::test]
async fn full_meetings_and_guests() {
    let sim = quick().await;
    let create = "meetingID=m1&name=One&maxParticipants=1&guestPolicy=ASK_MODERATOR";
    get(&sim, "create", create).await;
    let guest = "meetingID=m1&fullName=A&role=VIEWER&guest=true&redirect=false&userID=a";
    get(&sim, "join", guest).await.expect("guestStatus", "WAIT");
    let second = "meetingID=m1&fullName=B&role=VIEWER&redirect=false";
    get(&sim, "join", second).await.expect("messageKey", "maxParticipantsReached");
    get(&sim, "join", guest).await.expect("returncode", "SUCCESS");
}
