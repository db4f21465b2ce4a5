//! Joins: where browsers are sent, and what people and programs are told when that cannot be.

use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE};
use sim::Fault;
use tinyscale::bbb::checksum::{self, Algorithm};
use tinyscale::bbb::query;
use tinyscale::bbb::secret::Secret;
use tinyscale::cluster::health::Health;

use crate::harness::{
    Answer, Gateway, SECRET, World, fetch, http, settings, signed, sims, wait_for,
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const FORM: &str = "application/x-www-form-urlencoded";

async fn browse(gateway: &Gateway, query: &str, language: &str) -> Answer {
    let request = http().get(gateway.url("join", query));
    fetch(request.header(ACCEPT, BROWSER).header(ACCEPT_LANGUAGE, language)).await
}

#[track_caller]
fn assert_page(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html;charset=UTF-8", "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(answer.body.contains(words), "{}", answer.body);
    assert!(!answer.body.contains("checksum") && !answer.body.contains("Ada"), "{}", answer.body);
}

#[tokio::test]
async fn m15_a_join_is_a_redirect_to_the_servers_own() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let query = "avatarURL=&fullName=Ada+L&meetingID=room&password=&role=Moderator&userID=gl-1";
    let answer = world.gateway.get("join", query).await;
    assert_eq!((answer.status, answer.header("cache-control")), (302, "no-store"));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let location = answer.header("location");
    assert!(
        location.starts_with(&format!("{}/join?{query}&checksum=", world.server_of("room").url()))
    );
    let joined = fetch(http().get(location)).await;
    assert!(joined.header("location").contains("sessionToken="), "{joined:?}");
}

#[tokio::test]
async fn people_are_told_in_their_language_and_the_page_tries_again() {
    let world = World::start(1).await;
    let query = "fullName=Ada&meetingID=%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for (language, words) in [
        ("en-GB,de;q=0.5", "The meeting is not open"),
        ("de-AT,en;q=0.5", "Die Konferenz ist nicht geöffnet"),
        ("<b>", "The meeting is not open"),
    ] {
        let answer = browse(&world.gateway, query, language).await;
        assert_page(&answer, words);
        assert!(answer.body.contains("http-equiv=\"refresh\" content=\"8\""));
        assert!(!answer.body.contains("script") && !answer.body.contains("<b>"));
    }
    // Programs, also those that call themselves nothing in particular.
    world.gateway.get("join", query).await.assert_failed("notFound");
    let patient = format!("{query}&redirect=false");
    browse(&world.gateway, &patient, "en").await.assert_failed("notFound");
}

/// The whole story of somebody who comes too early.
#[tokio::test]
async fn the_page_becomes_the_meeting_once_it_is_open() {
    let world = World::start(1).await;
    let join = "fullName=Ada&meetingID=room&role=VIEWER";
    assert_page(&browse(&world.gateway, join, "de").await, "nicht geöffnet");
    world.sims[0].set_fault_once(Fault::Delay(Duration::from_millis(700)), Some("create"));
    let url = world.gateway.url("create", "meetingID=room&name=nn");
    let creating = tokio::spawn(fetch(http().get(url)));
    wait_for("the create", || world.sims[0].call_count("create") == 1).await;
    // The server does not have it yet: whoever is sent there now stays out.
    assert_page(&browse(&world.gateway, join, "en").await, "not open");
    creating.await.unwrap().assert_success();
    assert_eq!(browse(&world.gateway, join, "en").await.status, 302);
}

#[tokio::test]
async fn a_meeting_out_of_reach_says_so() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let join = "fullName=Ada&meetingID=room&role=VIEWER";
    world.sims[0].stop().await;
    world.gateway.wait_health("bbb1", Health::Down).await;
    assert_page(&browse(&world.gateway, join, "en").await, "cannot be reached right now");
    world.gateway.get("join", join).await.assert_failed("serverUnavailable");
    world.sims[0].restart().await.unwrap();
    world.gateway.wait_health("bbb1", Health::Up).await;
    assert_eq!(browse(&world.gateway, join, "en").await.status, 302);
}

#[tokio::test]
async fn errors_go_where_the_front_end_asked_for_them() {
    let world = World::start(1).await;
    let own = "errorRedirectUrl=https%3A%2F%2Flms.example%2Fback%3Fa%3D1";
    let logout = "logoutURL=https%3A%2F%2Flms.example%2Fbye";
    let error = "%5B%7B%22key%22%3A%22invalidMeetingIdentifier%22%2C%22message%22%3A%22A%20meeting%20with%20that%20ID%20does%20not%20exist%22%7D%5D";
    for (more, expected) in [
        (format!("{own}&{logout}"), format!("https://lms.example/back?a=1&errors={error}")),
        (logout.to_owned(), format!("https://lms.example/bye?errors={error}")),
        (
            format!("errorRedirectUrl=javascript%3Aalert(1)&{logout}"),
            format!("https://lms.example/bye?errors={error}"),
        ),
    ] {
        let query = format!("fullName=Ada&meetingID=room&{more}");
        for answer in
            [world.gateway.get("join", &query).await, browse(&world.gateway, &query, "de").await]
        {
            assert_eq!(
                (answer.status, answer.header("location")),
                (302, expected.as_str()),
                "{more}"
            );
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let patient = format!("{query}&redirect=false");
        world.gateway.get("join", &patient).await.assert_failed("notFound");
    }
    let no_id = format!("fullName=Ada&{own}");
    let answer = world.gateway.get("join", &no_id).await;
    assert!(answer.header("location").contains("missingParamMeetingID"), "{answer:?}");
    // Never for a checksum that is wrong: the address could be anybody's.
    let url = format!(
        "{}/join?fullName=Ada&meetingID=room&{own}&checksum={}",
        world.gateway.api(),
        "0".repeat(64)
    );
    fetch(http().get(url).header(ACCEPT, BROWSER)).await.assert_failed("checksumError");
    let evil = "&errorRedirectUrl=https%3A%2F%2Fevil.example";
    let url = format!("{}{evil}", world.gateway.url("join", "fullName=Ada&meetingID=room"));
    fetch(http().get(url).header(ACCEPT, BROWSER)).await.assert_failed("checksumError");
}

/// A join by POST becomes a GET, with what the checksum covers and nothing else (design rule 5).
#[tokio::test]
async fn a_post_is_redirected_with_signed_parameters_only() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let post = |query: String, form: String| {
        let request = http().post(format!("{}/join?{query}", world.gateway.api()));
        fetch(request.header("Content-Type", FORM).body(form))
    };
    let form = "role=VIEWER&meetingID=room&fullName=Ada";
    // BBB 2.x: everything in the body, hashed sorted.
    let sorted = checksum::sign(
        "join",
        "fullName=Ada&meetingID=room&role=VIEWER",
        Algorithm::Sha1,
        &Secret::new(SECRET).unwrap(),
    );
    let sum = query::first(&sorted, "checksum").unwrap().into_owned();
    let request = http().post(format!("{}/join", world.gateway.api()));
    let answer =
        fetch(request.header("Content-Type", FORM).body(format!("{form}&checksum={sum}"))).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    let joined = fetch(http().get(answer.header("location"))).await;
    assert!(joined.header("location").contains("sessionToken="), "{joined:?}");
    // All parameters in the query, nothing in the body.
    let answer =
        post(signed("join", "fullName=Ada&meetingID=room&role=VIEWER"), String::new()).await;
    assert_eq!(answer.status, 302);
    // Parameters that no checksum covers never come into a URL that tinyscale signs.
    for (query, form) in [
        (
            signed("join", "fullName=Ada&meetingID=room"),
            "role=MODERATOR&errorRedirectUrl=https%3A%2F%2Fevil.example",
        ),
        (signed("join", ""), form),
        (String::new(), &format!("{form}&{}", signed("join", "")) as &str),
    ] {
        let answer = post(query, form.to_owned()).await;
        answer.assert_failed("checksumError");
        assert_eq!(answer.header("location"), "");
    }
    // What a page would ask again for is not what was posted.
    let missing = signed("join", "fullName=Ada&meetingID=other&role=VIEWER");
    let request =
        http().post(format!("{}/join?{missing}", world.gateway.api())).header(ACCEPT, BROWSER);
    let answer = fetch(request).await;
    assert_page(&answer, "not open");
    assert!(!answer.body.contains("refresh"));
}

#[tokio::test]
async fn create_times_pass_unless_they_are_to_be_healed() {
    for heal in [false, true] {
        let sims = sims(1).await;
        let mut settings = settings(&sims);
        settings.heal_create_time = heal;
        let gateway = Gateway::start(settings).await;
        let create = "meetingID=room&name=nn";
        let first = gateway.get("create", create).await.text("createTime").to_owned();
        // The server restarts unseen and has lost the meeting; the front end's next create makes it anew.
        sims[0].lose_all();
        let again = gateway.get("create", create).await.text("createTime").to_owned();
        assert_ne!(first, again);
        let join =
            |time: &str| format!("createTime={time}&fullName=Ada&meetingID=room&role=VIEWER");
        let location = |answer: Answer| answer.header("location").to_owned();
        let old = location(gateway.get("join", &join(&first)).await);
        assert_eq!(old.contains(&format!("createTime={again}&")), heal, "{old}");
        let never = location(gateway.get("join", &join("1")).await);
        assert!(never.contains("createTime=1&"), "{never}");
        let outcome = fetch(http().get(&old)).await;
        assert_eq!(outcome.header("location").contains("sessionToken="), heal, "{outcome:?}");
    }
}
