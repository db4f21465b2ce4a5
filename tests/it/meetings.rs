//! The main job over real sockets: a front end's calls reach the meeting's server, and what comes back is
//! that server's answer.

use crate::harness::{Gateway, World, fetch, http, settings, sims, wait_for};

const ATTENDEE: &str = "meetingID=room&fullName=Ada+L&role=MODERATOR";

#[tokio::test]
async fn a_meeting_from_create_to_end() {
    let world = World::start(2).await;
    let gateway = &world.gateway;
    let created = gateway.get("create", "meetingID=room&name=Maths").await;
    created.assert_success();
    let server = world.server_of("room");
    let meeting = server.meeting("room").unwrap();
    assert_eq!(created.text("createTime"), meeting.create_time.to_string());
    assert_eq!(created.text("internalMeetingID"), meeting.internal_id);

    // A browser follows the join to the server itself, gets its cookie there and opens the client page.
    let join = gateway.get("join", ATTENDEE).await;
    assert_eq!(join.status, 302);
    assert_eq!(join.header("cache-control"), "no-store");
    let location = join.header("location").to_owned();
    assert!(location.starts_with(&format!("{}/join?{ATTENDEE}&checksum=", server.url())));
    let at_server = fetch(http().get(&location)).await;
    assert_eq!(at_server.status, 302);
    let cookie = at_server.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("JSESSIONID="));
    let page = fetch(http().get(at_server.header("location")).header("Cookie", cookie)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Maths"), "{}", page.body);

    let info = gateway.get("getMeetingInfo", "meetingID=room").await;
    info.assert_success();
    assert_eq!(info.text("fullName"), "Ada L");
    assert_eq!(gateway.get("isMeetingRunning", "meetingID=room").await.text("running"), "true");

    gateway.get("end", "meetingID=room").await.assert_success();
    wait_for("the meeting to be gone", || server.meeting("room").is_none()).await;
    wait_for("the gateway to notice", || gateway.home("room").is_none()).await;
    gateway.get("getMeetingInfo", "meetingID=room").await.assert_failed("notFound");
}

#[tokio::test]
async fn an_answer_of_one_server_keeps_its_bytes() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=A+%26+B&meta_x=1").await.assert_success();
    world.sims[0].add_users("m", 3);
    let through = world.gateway.get("getMeetingInfo", "meetingID=room").await;
    let direct =
        fetch(http().get(world.sims[0].signed_url("getMeetingInfo", "meetingID=room"))).await;
    assert_eq!(through.body, direct.body);
    assert_eq!(through.header("content-type"), direct.header("content-type"));
}

#[tokio::test]
async fn the_server_gets_the_parameters_as_they_were_sent() {
    let world = World::start(1).await;
    let query = "name=a%2fb+c&meta_x=&meta_x=2&odd%5B%5D=(*)~!&meetingID=room";
    world.gateway.get("create", query).await.assert_success();
    let calls = world.sims[0].calls_of("create");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].checksum, Some(true));
    assert!(calls[0].target.contains(query), "{}", calls[0].target);
    assert_eq!(calls[0].header("host"), Some(world.sims[0].address().to_string().as_str()));
}

#[tokio::test]
async fn new_meetings_go_to_the_servers_in_turn() {
    let world = World::start(3).await;
    for n in 0..9 {
        world.gateway.get("create", &format!("meetingID=m{n}&name=nn")).await.assert_success();
    }
    let counts: Vec<usize> = world.sims.iter().map(sim::Sim::meeting_count).collect();
    assert_eq!(counts, [3, 3, 3]);
}

#[tokio::test]
async fn two_hundred_creates_of_one_id_make_one_meeting() {
    let world = World::start(3).await;
    for sim in &world.sims {
        sim.set_fault_times(
            sim::Fault::Delay(std::time::Duration::from_millis(100)),
            Some("create"),
            1,
        );
    }
    let url = world.gateway.url("create", "meetingID=room&name=nn&attendeePW=ap&moderatorPW=mp");
    let client = http();
    let creating: Vec<_> = (0..200).map(|_| tokio::spawn(fetch(client.get(url.clone())))).collect();
    let mut times = std::collections::HashSet::new();
    for answer in creating {
        let answer = answer.await.unwrap();
        answer.assert_success();
        times.insert(answer.text("createTime").to_owned());
    }
    assert_eq!(times.len(), 1);
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn meetings_made_elsewhere_are_found_after_a_restart_without_any_file() {
    let sims = sims(3).await;
    let first = Gateway::start(settings(&sims)).await;
    for n in 0..12 {
        first.get("create", &format!("meetingID=m{n}&name=nn")).await.assert_success();
    }
    let rooms = sims[0].start_breakouts(&sims[0].meetings()[0].external_id, 2);
    drop(first);
    let second = Gateway::start(settings(&sims)).await;
    for n in 0..12 {
        let query = format!("meetingID=m{n}");
        second.get("getMeetingInfo", &query).await.assert_success();
    }
    for room in rooms {
        assert_eq!(second.home(&room).as_deref(), Some("bbb1"));
        second.get("getMeetingInfo", &format!("meetingID={room}")).await.assert_success();
    }
    let created = second.get("create", "meetingID=m0&name=nn").await;
    assert_eq!(created.text("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn get_meetings_shows_the_meetings_of_all_servers() {
    let world = World::start(3).await;
    let empty = world.gateway.get("getMeetings", "").await;
    empty.assert_success();
    assert_eq!(empty.text("messageKey"), "noMeetings");
    for n in 0..3 {
        world.gateway.get("create", &format!("meetingID=m{n}&name=nn")).await.assert_success();
    }
    let all = world.gateway.get("getMeetings", "").await;
    all.assert_success();
    for sim in &world.sims {
        let direct = fetch(http().get(sim.signed_url("getMeetings", ""))).await;
        let element = direct.text("meetings").trim();
        assert!(!element.is_empty() && all.body.contains(element), "{}", all.body);
    }
}

#[tokio::test]
async fn a_meeting_is_found_by_its_internal_id_too() {
    let world = World::start(2).await;
    let created = world.gateway.get("create", "meetingID=room&name=nn").await;
    let internal = created.text("internalMeetingID");
    let info = world.gateway.get("getMeetingInfo", &format!("meetingID={internal}")).await;
    assert_eq!(info.assert_success().text("meetingID"), "room");
}

#[tokio::test]
async fn a_future_call_with_a_meeting_goes_to_its_server() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.server_of("room").add_users("room", 1);
    world.gateway.get("sendChatMessage", "meetingID=room&message=hello").await.assert_success();
    assert_eq!(world.server_of("room").call_count("sendChatMessage"), 1);
    let future = world.gateway.get("someFutureCall", "meetingID=room").await;
    assert!(future.is_bbb_xml(), "{future:?}");
    // Probes call, too.
    let calls = world.server_of("room").calls();
    assert!(calls.iter().any(|call| call.target.contains("someFutureCall")), "{calls:?}");
}
