//! Callbacks over real sockets: what servers send arrives at the front end, once, signed with its secret.
//! The front end's receiver is another simulated server, which answers every path with a page.

pub(crate) mod refusals;

use std::path::Path;
use std::time::Duration;

use sim::{Fault, Profile, Recording, Sim, SimConfig};
use tinyscale::bbb::secret::Secret;
use tinyscale::callback::jwt::{self, Algorithm, Unverified};
use tinyscale::config::settings::Settings;

use crate::harness::{Answer, DEADLINE, Gateway, SECRET, fetch, http, settings, sims, wait_for};

struct World {
    sims: Vec<Sim>,
    gateway: Gateway,
    front: Sim,
}

impl World {
    async fn start(count: usize) -> Self {
        Self::start_with(sims(count).await, |_| {}).await
    }

    async fn start_with(sims: Vec<Sim>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&sims);
        change(&mut settings);
        Self { gateway: Gateway::start_public(settings).await, sims, front: front().await }
    }

    /// The front end's URL for `path`, encoded for a query.
    fn encoded(&self, path: &str) -> String {
        encoded(&format!("http://{}{path}", self.front.address()))
    }

    /// Creates `room` with this parameter, and what its server got for it.
    async fn create(&self, param: &str, path: &str) -> (&Sim, String) {
        let query = format!("meetingID=room&name=nn&record=true&{param}={}", self.encoded(path));
        self.gateway.get("create", &query).await.assert_success();
        let server = self.sims.iter().find(|sim| sim.meeting("room").is_some()).unwrap();
        let meeting = server.meeting("room").unwrap();
        let found = meeting.params.iter().find(|(name, _)| name == param);
        (server, found.unwrap().1.clone())
    }

    /// Publishes a recording with the metadata that the meeting was made with.
    fn publish(&self, server: &Sim, formats: usize) -> String {
        let meeting = server.meeting("room").unwrap();
        let mut recording = Recording::of("room", meeting.create_time);
        recording.meta.extend(meeting.metadata);
        let one = recording.formats[0].clone();
        recording.formats = vec![one; formats];
        let id = server.add_recording(recording);
        assert!(server.publish_recording(&id));
        id
    }

    async fn told(&self, path: &str, times: usize) {
        let told = self.front.wait_until(DEADLINE, |front| front.call_count(path) >= times).await;
        assert!(told, "{path} {} times", self.front.call_count(path));
    }
}

async fn front() -> Sim {
    let front = Sim::start(SimConfig::default()).await.unwrap();
    front.set_fault(Fault::Html200, None);
    front
}

fn encoded(url: &str) -> String {
    tinyscale::bbb::query::encode(url)
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

/// The claims of a token of the front end's secret.
#[track_caller]
fn claims(token: &str, algorithm: Algorithm) -> jwt::Claims {
    let token = Unverified::read(token, algorithm).unwrap();
    assert!(token.is_signed_by(&secret(SECRET)), "signed by somebody else");
    token.claims(0).unwrap()
}

fn token(claims: &str, algorithm: Algorithm, of: &str) -> String {
    jwt::sign(&jwt::payload(claims), algorithm, &secret(of))
}

async fn post(url: &str, body: &str, authorization: Option<&str>) -> Answer {
    let mut request = http().post(url).body(body.to_owned());
    if let Some(value) = authorization {
        request = request.header("Authorization", value);
    }
    fetch(request).await
}

#[tokio::test]
async fn m25_the_end_of_a_meeting_is_told_as_its_server_would() {
    let world = World::start(2).await;
    let path = "/rooms/ended?salt=%242y%24x%2F&a=b+c";
    let (server, url) = world.create("meta_endCallbackUrl", path).await;
    assert!(url.starts_with(&format!("http://{}/callback/", world.gateway.address)), "{url}");
    server.end("room");
    world.told("/rooms/ended", 1).await;
    let call = &world.front.calls_of("/rooms/ended")[0];
    assert_eq!(call.method, "GET");
    assert_eq!(call.target, format!("{path}&recordingmarks=false&meetingID=room"));
}

#[tokio::test]
async fn the_two_requests_of_2_7_are_one_for_the_front_end() {
    let config = SimConfig {
        profile: Profile::V27,
        secret: "secret-1".to_owned(),
        end_delay: Duration::from_millis(50),
        callback_retries: vec![Duration::ZERO],
        ..SimConfig::default()
    };
    let world = World::start_with(vec![Sim::start(config).await.unwrap()], |_| {}).await;
    for path in ["/first", "/second"] {
        let (server, url) = world.create("meetingEndedURL", path).await;
        server.end("room");
        world.told(path, 1).await;
        wait_for("the end", || server.meeting("room").is_none()).await;
        // The second request may still be on its way; a third one stands for it.
        assert_eq!(fetch(http().get(&url)).await.status, 200);
        assert_eq!(fetch(http().head(&url)).await.status, 200);
        assert_eq!(world.front.call_count(path), 1);
        assert_eq!(world.front.calls_of(path)[0].target, path);
        wait_for("the gateway to notice", || world.gateway.home("room").is_none()).await;
    }
}

#[tokio::test]
async fn a_meeting_that_ends_twice_is_told_twice() {
    let world = World::start(1).await;
    for times in 1..=2 {
        let (server, _) = world.create("meetingEndedURL", "/ended").await;
        server.end("room");
        world.told("/ended", times).await;
        wait_for("the end", || server.meeting("room").is_none()).await;
        wait_for("the gateway to notice", || world.gateway.home("room").is_none()).await;
    }
    assert_eq!(world.front.call_count("/ended"), 2);
}

#[tokio::test]
async fn m23_a_recording_is_announced_with_the_front_ends_secret() {
    for key in ["bbb", "bn", "canvas"] {
        let world = World::start(2).await;
        let path = "/mod/bbb_broker.php?action=recording_ready&bigbluebuttonbn=12";
        let param = format!("meta_{key}-recording-ready-url");
        let (server, _) = world.create(&param, path).await;
        let id = world.publish(server, 1);
        world.told("/mod/bbb_broker.php", 1).await;
        let call = &world.front.calls_of("/mod/bbb_broker.php")[0];
        assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", path));
        assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
        let body = std::str::from_utf8(&call.body).unwrap();
        let claims = claims(body.strip_prefix("signed_parameters=").unwrap(), Algorithm::Hs256);
        assert_eq!(claims.text("record_id"), Some(id.as_str()));
        assert_eq!(claims.text("meeting_id"), Some("room"));
    }
}

#[tokio::test]
async fn a_recording_is_announced_only_when_it_can_be_fetched() {
    let world = World::start(1).await;
    let (server, url) = world.create("meta_bbb-recording-ready-url", "/ready").await;
    let form = |id: &str| {
        let claims = format!(r#"{{"meeting_id":"room","record_id":"{id}"}}"#);
        format!("signed_parameters={}", token(&claims, Algorithm::Hs256, "secret-1"))
    };
    // Told before it is there: not accepted, and not announced.
    let meeting = server.meeting("room").unwrap();
    assert_eq!(post(&url, &form(&meeting.internal_id), None).await.status, 503);
    assert_eq!(world.front.call_count("/ready"), 0);
    // Once it is there, nobody has to tell again.
    server.add_recording(Recording::of("room", meeting.create_time));
    world.told("/ready", 1).await;
    assert!(server.call_count("getRecordings") >= 2);
}

#[tokio::test]
async fn m24_an1_analytics_keep_their_body_but_for_the_urls() {
    let world = World::start(1).await;
    let path = "/broker.php?action=meeting_events&bn=1";
    let (server, url) = world.create("meta_analytics-callback-url", path).await;
    assert!(server.fire_analytics("room"));
    world.told("/broker.php", 1).await;
    let call = &world.front.calls_of("/broker.php")[0];
    assert_eq!(call.target, path);
    assert_eq!(call.header("user-agent"), Some("BigBlueButton Analytics Callback"));
    assert_eq!(call.header("content-type"), Some("application/json"));
    let bearer = call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    claims(bearer, Algorithm::Hs512);
    let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(
        body["data"]["metadata"]["analytics_callback_url"],
        format!("http://{}{path}", world.front.address())
    );
    // Byte for byte, with a large one.
    let body = format!("{{ \"a\" :\t\"{}\"}}", "ü".repeat(1_500_000));
    let bearer =
        format!("Bearer {}", token(r#"{"exp":99999999999}"#, Algorithm::Hs512, "secret-1"));
    assert_eq!(post(&url, &body, Some(&bearer)).await.status, 200);
    assert_eq!(world.front.call_count("/broker.php"), 1, "the receiver takes 2 MB only");
    let body = body.replace('ü', "u");
    assert_eq!(post(&url, &body, Some(&bearer)).await.status, 200);
    assert_eq!(world.front.calls_of("/broker.php")[1].body, body);
}

#[tokio::test]
async fn s27_a_failing_front_end_is_tried_again_and_told_once() {
    let world = World::start(1).await;
    world.front.set_fault_once(Fault::Status(500), Some("/ended"));
    let (server, url) = world.create("meetingEndedURL", "/ended").await;
    server.end("room");
    world.told("/ended", 2).await;
    let again = format!("{url}?recordingmarks=false");
    assert_eq!(fetch(http().get(&again)).await.status, 200);
    assert_eq!(world.front.call_count("/ended"), 2);
}

#[tokio::test]
async fn a_final_no_is_final() {
    let world = World::start(1).await;
    // clients.md 4.3: cloud_bbb has no POST there.
    world.front.set_fault_once(Fault::Status(405), Some("/hook"));
    let (server, url) = world.create("meta_bbb-recording-ready-url", "/hook").await;
    let id = world.publish(server, 1);
    world.told("/hook", 1).await;
    let claims = format!(r#"{{"meeting_id":"room","record_id":"{id}"}}"#);
    let form = format!("signed_parameters={}", token(&claims, Algorithm::Hs256, "secret-1"));
    assert_eq!(post(&url, &form, None).await.status, 200);
    assert_eq!(world.front.call_count("/hook"), 2, "only because it was told again");
}

fn kept(state_dir: &Path) -> usize {
    let files = std::fs::read_dir(state_dir.join("callbacks")).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().len() == 32).count()
}

#[tokio::test]
async fn s27_what_was_accepted_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let keep = |settings: &mut Settings| settings.state_dir = Some(folder.path().to_owned());
    let world = World::start_with(sims(1).await, keep).await;
    let (_, url) = world.create("meta_endCallbackUrl", "/ended").await;
    world.front.stop().await;
    let url = format!("{url}?recordingmarks=true&meetingID=room");
    assert_eq!(fetch(http().get(&url)).await.status, 200);
    assert_eq!(kept(folder.path()), 1);
    let World { sims, gateway, front } = world;
    let address = gateway.address;
    drop(gateway);
    front.restart().await.unwrap();
    let mut settings = settings(&sims);
    keep(&mut settings);
    settings.listen[0].address = address.into();
    let _gateway = Gateway::start_public(settings).await;
    assert!(front.wait_until(DEADLINE, |front| front.call_count("/ended") == 1).await);
    let expected = "/ended?recordingmarks=true&meetingID=room";
    assert_eq!(front.calls_of("/ended")[0].target, expected);
    wait_for("the file to be gone", || kept(folder.path()) == 0).await;
    assert_eq!(front.call_count("/ended"), 1);
}

#[tokio::test]
async fn without_a_folder_nothing_undelivered_is_accepted() {
    let world = World::start(1).await;
    let (_, url) = world.create("meetingEndedURL", "/ended").await;
    world.front.stop().await;
    assert_eq!(fetch(http().get(&url)).await.status, 503);
    world.front.restart().await.unwrap();
    world.told("/ended", 1).await;
    assert_eq!(fetch(http().get(&url)).await.status, 200);
    assert_eq!(world.front.call_count("/ended"), 1);
}

#[tokio::test]
async fn without_a_public_url_callbacks_pass_untouched() {
    let sims = sims(1).await;
    let gateway = Gateway::start(settings(&sims)).await;
    let url = "http%3A%2F%2F127.0.0.1%3A9%2Fx%3fa";
    let query = format!("meetingID=room&name=nn&meta_endCallbackUrl={url}&meetingEndedURL={url}");
    gateway.get("create", &query).await.assert_success();
    assert!(sims[0].calls_of("create")[0].target.contains(&query));
    let stranger = format!("http://{}/callback/x", gateway.address);
    assert_eq!(fetch(http().get(&stranger)).await.status, 404);
}

#[tokio::test]
async fn a_repeated_create_is_the_same_byte_for_byte() {
    let world = World::start(1).await;
    for _ in 0..2 {
        world.create("meta_endCallbackUrl", "/ended").await;
    }
    let calls = world.sims[0].calls_of("create");
    assert_eq!(calls[0].target, calls[1].target);
}

#[tokio::test]
async fn cr14_a_create_by_form_is_rewritten_too() {
    let world = World::start(1).await;
    let form = format!("name=nn&meta_endCallbackUrl={}&meta_x=1", world.encoded("/ended"));
    let form_type = "application/x-www-form-urlencoded";
    let created = world.gateway.post("create", "meetingID=room", form_type, form).await;
    created.assert_success();
    let metadata = world.sims[0].meeting("room").unwrap().metadata;
    assert!(metadata["endcallbackurl"].contains("/callback/") && metadata["x"] == "1");
    world.sims[0].end("room");
    world.told("/ended", 1).await;
}
