//! hooks/create, list and destroy over real sockets: one registry over the registries of all servers, and
//! events that arrive once, signed with the front end's secret.

use std::time::Duration;

use serde_json::{Value, json};
use sim::{Fault, HookSignature, Sim, SimConfig};
use tinyscale::bbb::query;
use tinyscale::bbb::secret::Secret;
use tinyscale::config::settings::Settings;
use tinyscale::hook::sign::{self, Form};

use crate::callbacks::refusals::redirector;
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
        let front = Sim::start(SimConfig::default()).await.unwrap();
        front.set_fault(Fault::Html200, None);
        Self { gateway: Gateway::start_public(settings).await, sims, front }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.front.address())
    }

    async fn create(&self, path: &str, rest: &str) -> Answer {
        let url = query::encode(&self.url(path));
        self.gateway.get("hooks/create", &format!("callbackURL={url}{rest}")).await
    }

    async fn told(&self, path: &str, times: usize) {
        let told = self.front.wait_until(DEADLINE, |front| front.call_count(path) >= times).await;
        assert!(told, "{path} {} times", self.front.call_count(path));
    }

    /// How many hooks each server has.
    fn counts(&self) -> Vec<usize> {
        self.sims.iter().map(|sim| sim.hooks().len()).collect()
    }

    async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { sims, gateway, front } = self;
        let mut settings = settings(&sims);
        change(&mut settings);
        settings.listen[0].address = gateway.address.into();
        drop(gateway);
        Self { gateway: Gateway::start_public(settings).await, sims, front }
    }
}

fn event(id: &str) -> Value {
    json!({ "data": { "type": "event", "id": id, "attributes": { "meeting": {
        "internal-meeting-id": "i-1", "external-meeting-id": "room" } } } })
}

fn server(signature: HookSignature) -> SimConfig {
    SimConfig {
        secret: "secret-1".to_owned(),
        hook_signature: signature,
        hook_retries: vec![Duration::from_millis(50); 20],
        ..SimConfig::default()
    }
}

#[tokio::test]
async fn a_hook_is_registered_everywhere_and_listed_as_one() {
    let world = World::start(3).await;
    let rest = "&meetingID=room&eventID=User-Joined,meeting-ended&getRaw=false";
    let created = world.create("/h?a=%24&b=1", rest).await;
    created.assert_success();
    let id = created.text("hookID").to_owned();
    assert!(id.parse::<u64>().is_ok_and(|id| id < 1 << 53), "{id}");
    assert_eq!((created.text("permanentHook"), created.text("rawData")), ("false", "false"));
    assert!(!created.body.contains('\n'));
    assert_eq!(world.counts(), [1, 1, 1]);
    for sim in &world.sims {
        assert!(
            sim.hooks()[0].1.starts_with(&format!("http://{}/callback/", world.gateway.address))
        );
    }
    let list = world.gateway.get("hooks/list", "").await;
    list.assert_success();
    let url = world.url("/h?a=%24&b=1");
    let expected = format!(
        "<hooks><hook><hookID>{id}</hookID><callbackURL><![CDATA[{url}]]></callbackURL><meetingID><![CDATA[room]]></meetingID><eventID>user-joined,meeting-ended</eventID><permanentHook>false</permanentHook><rawData>false</rawData></hook></hooks>"
    );
    assert!(list.body.contains(&expected), "{}", list.body);
    assert!(!world.gateway.get("hooks/list", "meetingID=other").await.body.contains(&id));

    let again = world.create("/h?a=%24&b=1", "").await;
    again.assert_success();
    assert_eq!((again.text("hookID"), again.text("messageKey")), (id.as_str(), "duplicateWarning"));

    let destroyed = world.gateway.get("hooks/destroy", &format!("hookID={id}")).await;
    assert_eq!(destroyed.assert_success().text("removed"), "true");
    wait_for("the servers to forget it", || world.counts() == [0, 0, 0]).await;
    let list = world.gateway.get("hooks/list", "").await;
    assert!(list.body.contains("<hooks></hooks>"));
}

#[tokio::test]
async fn mistakes_are_answered_with_the_keys_of_bbb_webhooks() {
    let world = World::start(1).await;
    let get = async |call: &'static str, query: &'static str| world.gateway.get(call, query).await;
    get("hooks/create", "").await.assert_failed("missingParamCallbackURL");
    get("hooks/create", "callbackURL=nonsense").await.assert_failed("createHookError");
    get("hooks/destroy", "").await.assert_failed("missingParamHookID");
    get("hooks/destroy", "hookID=17").await.assert_failed("destroyMissingHook");
    get("hooks/destroy", "hookID=a-uuid").await.assert_failed("destroyMissingHook");
    let unsigned = format!("{}/hooks/list?checksum=x", world.gateway.api());
    fetch(http().get(unsigned)).await.assert_failed("checksumError");
    get("hooks/other", "meetingID=m").await.assert_failed("unsupportedRequest");
}

#[tokio::test]
async fn events_of_every_release_arrive_signed_for_the_front_end() {
    for signature in
        [HookSignature::Body, HookSignature::Braces, HookSignature::Json, HookSignature::Bearer]
    {
        for form in Form::ALL {
            let sims = vec![Sim::start(server(signature)).await.unwrap()];
            let world = World::start_with(sims, |settings| settings.hooks.form = form).await;
            world.create("/h?x=1", "").await.assert_success();
            let event = event("user-joined");
            assert_eq!(world.sims[0].fire_event("user-joined", "room", &event), 1);
            world.told("/h", 1).await;
            let call = &world.front.calls_of("/h")[0];
            let body = std::str::from_utf8(&call.body).unwrap();
            let secret = Secret::new(SECRET).unwrap();
            let algorithm = tinyscale::bbb::checksum::Algorithm::Sha1;
            let expected = sign::sign(form, algorithm, &world.url("/h?x=1"), body, &secret);
            assert_eq!(world.url(&call.target), expected, "{signature:?} {form:?}");
            let domain = query::first(body, "domain").unwrap();
            assert_eq!(domain, world.gateway.address.to_string());
            let events: Value =
                serde_json::from_str(&query::first(body, "event").unwrap()).unwrap();
            assert_eq!(events, json!([event]));
            let content_type = "application/x-www-form-urlencoded;charset=UTF-8";
            assert_eq!(call.header("content-type"), Some(content_type));
        }
    }
}

#[tokio::test]
async fn forged_events_are_refused() {
    let world = World::start(2).await;
    world.create("/h", "").await.assert_success();
    let url = world.sims[0].hooks()[0].1.clone();
    let body = "domain=bbb1&event=%5B%7B%7D%5D&timestamp=1";
    let algorithm = tinyscale::bbb::checksum::Algorithm::Sha1;
    let signed =
        |of: &str| sign::sign(Form::Body, algorithm, &url, body, &Secret::new(of).unwrap());
    let post = async |url: String| fetch(http().post(url).body(body)).await.status;
    assert_eq!(post(url.clone()).await, 401);
    // Another server's secret is as wrong as the front end's, because the URL is the first server's.
    for of in ["secret-2", SECRET] {
        assert_eq!(post(signed(of)).await, 401);
    }
    assert_eq!(world.front.call_count("/h"), 0);
    assert_eq!(post(signed("secret-1")).await, 200);
    assert_eq!(world.front.call_count("/h"), 1);
    // Told again, it is not told on.
    assert_eq!(post(signed("secret-1")).await, 200);
    assert_eq!(world.front.call_count("/h"), 1);
}

#[tokio::test]
async fn events_keep_their_order_while_the_front_end_is_away() {
    let sims = vec![Sim::start(server(HookSignature::Body)).await.unwrap()];
    let folder = tempfile::tempdir().unwrap();
    let keep = |settings: &mut Settings| settings.state_dir = Some(folder.path().to_owned());
    let world = World::start_with(sims, keep).await;
    world.create("/h", "").await.assert_success();
    let url = world.sims[0].hooks()[0].1.clone();
    world.front.set_fault_times(Fault::Status(503), Some("/h"), 2);
    let algorithm = tinyscale::bbb::checksum::Algorithm::Sha1;
    for n in 0..5 {
        let body = format!("domain=b&event=%5B{n}%5D&timestamp={n}");
        let secret = Secret::new("secret-1").unwrap();
        let signed = sign::sign(Form::Body, algorithm, &url, &body, &secret);
        assert_eq!(fetch(http().post(signed).body(body)).await.status, 200);
    }
    world.told("/h", 7).await;
    let calls = world.front.calls_of("/h");
    let bodies = calls.iter().map(|call| String::from_utf8_lossy(&call.body).into_owned());
    let order: Vec<String> =
        bodies.map(|body| query::first(&body, "timestamp").unwrap().into_owned()).collect();
    assert_eq!(order, ["0", "0", "0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn hooks_are_known_after_a_restart() {
    let world = World::start(2).await;
    let created = world.create("/h", "&meetingID=room&eventID=user-left").await;
    let before = world.gateway.get("hooks/list", "").await;
    assert!(before.body.contains("room"));
    let world = world.restart().await;
    let id = created.text("hookID").to_owned();
    let list = async || world.gateway.get("hooks/list", "").await.body;
    let known = async {
        while list().await != before.body {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, known).await.unwrap();
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.sims[1].fire_event("user-left", "room", &event("user-left")), 1);
    world.told("/h", 1).await;
    let destroyed = world.gateway.get("hooks/destroy", &format!("hookID={id}")).await;
    destroyed.assert_success();
    wait_for("the servers to forget it", || world.counts() == [0, 0]).await;
}

#[tokio::test]
async fn servers_that_come_back_or_lost_it_get_the_hook() {
    let world = World::start(2).await;
    world.sims[1].stop().await;
    world.gateway.wait_health("bbb2", tinyscale::cluster::health::Health::Down).await;
    let created = world.create("/h", "").await;
    created.assert_success();
    assert_eq!(world.counts(), [1, 0]);
    world.sims[1].restart().await.unwrap();
    wait_for("bbb2 to get the hook", || world.counts() == [1, 1]).await;

    // Destroyed while a server is away, it is removed there when that comes back.
    world.sims[1].stop().await;
    world.gateway.wait_health("bbb2", tinyscale::cluster::health::Health::Down).await;
    let id = created.text("hookID");
    world.gateway.get("hooks/destroy", &format!("hookID={id}")).await.assert_success();
    world.sims[1].restart().await.unwrap();
    wait_for("bbb2 to forget it", || world.counts() == [0, 0]).await;
    assert!(!world.gateway.get("hooks/list", "").await.body.contains(id));
}

/// Only the store knows: the server that was away still lists it, and the process that destroyed it is gone.
#[tokio::test]
async fn with_a_store_what_was_destroyed_stays_so_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stored = |settings: &mut Settings| settings.state_dir = Some(folder.path().to_owned());
    let world = World::start_with(sims(2).await, stored).await;
    let (gone, kept) = (world.create("/gone", "").await, world.create("/kept", "").await);
    assert_eq!(world.counts(), [2, 2]);
    world.sims[1].stop().await;
    world.gateway.wait_health("bbb2", tinyscale::cluster::health::Health::Down).await;
    let query = format!("hookID={}", gone.text("hookID"));
    world.gateway.get("hooks/destroy", &query).await.assert_success();
    wait_for("bbb1 to forget it", || world.counts()[0] == 1).await;
    let world = world.restart_with(stored).await;
    world.sims[1].restart().await.unwrap();
    wait_for("bbb2 to forget it", || world.counts() == [1, 1]).await;
    let list = world.gateway.get("hooks/list", "").await;
    assert!(!list.body.contains(gone.text("hookID")) && list.body.contains(kept.text("hookID")));
}

#[tokio::test]
async fn with_a_store_hooks_are_known_though_no_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let stored = |settings: &mut Settings| settings.state_dir = Some(folder.path().to_owned());
    let world = World::start_with(sims(1).await, stored).await;
    let created = world.create("/h", "&meetingID=room").await;
    world.sims[0].stop().await;
    let world = world.restart_with(stored).await;
    let list = world.gateway.get("hooks/list", "").await;
    assert!(list.body.contains(created.text("hookID")), "{}", list.body);
    // A server that lost its own gets it again.
    world.sims[0].restart().await.unwrap();
    wait_for("bbb1 to have it", || world.counts() == [1]).await;
}

/// bbb-webhooks follows redirects (`bbb-api.md` 6.4). An event arrives whole where its receiver has moved to,
/// also with the statuses at which many clients make a GET of it.
#[tokio::test]
async fn s30_events_follow_their_receiver_with_their_body() {
    let world = World::start(1).await;
    for status in
        ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let (name, _) = status.split_once(' ').unwrap();
        let moved = redirector(status, format!("{}?a=b", world.url(&format!("/{name}")))).await;
        let url = query::encode(&format!("http://{moved}/h"));
        world.gateway.get("hooks/create", &format!("callbackURL={url}")).await.assert_success();
        let event = event("user-joined");
        world.sims[0].fire_event("user-joined", "room", &event);
        world.told(&format!("/{name}"), 1).await;
        let call = &world.front.calls_of(&format!("/{name}"))[0];
        assert_eq!((call.method.as_str(), call.query()), ("POST", "a=b"));
        let events = query::first(std::str::from_utf8(&call.body).unwrap(), "event");
        assert_eq!(events.unwrap(), json!([event]).to_string());
        let content_type = "application/x-www-form-urlencoded;charset=UTF-8";
        assert_eq!(call.header("content-type"), Some(content_type));
        let list = world.gateway.get("hooks/list", "").await;
        let id = list.text("hookID").to_owned();
        world.gateway.get("hooks/destroy", &format!("hookID={id}")).await.assert_success();
        wait_for("the server to forget it", || world.counts() == [0]).await;
    }
}

/// Not to where nobody may be called, and not round in circles for ever.
#[tokio::test]
async fn s30_events_follow_nobody_to_forbidden_places() {
    let world = World::start(1).await;
    let port = world.front.address().port();
    let forbidden = format!("http://[::ffff:169.254.169.254]:{port}/h");
    let moved = redirector("307 Temporary Redirect", forbidden).await;
    let circle = redirector("307 Temporary Redirect", "/again".to_owned()).await;
    for address in [moved, circle] {
        let url = query::encode(&format!("http://{address}/h"));
        world.gateway.get("hooks/create", &format!("callbackURL={url}")).await.assert_success();
    }
    world.create("/after", "").await.assert_success();
    assert_eq!(world.sims[0].fire_event("user-joined", "room", &event("user-joined")), 3);
    world.told("/after", 1).await;
    assert_eq!(world.front.call_count("/h"), 0);
}

#[tokio::test]
async fn servers_without_webhooks_are_tolerated() {
    let world = World::start(2).await;
    world.sims[0].set_fault(Fault::Status(404), Some("hooks/create"));
    world.sims[0].set_fault(Fault::Status(404), Some("hooks/list"));
    world.create("/h", "").await.assert_success();
    assert_eq!(world.counts(), [0, 1]);
    world.sims[1].set_fault(Fault::Status(404), Some("hooks/create"));
    world.create("/other", "").await.assert_failed("createHookError");
    assert!(!world.gateway.get("hooks/list", "").await.body.contains("/other"));
}

#[tokio::test]
async fn foreign_hooks_of_a_server_are_left_alone() {
    let world = World::start(1).await;
    let foreign =
        world.sims[0].signed_url("hooks/create", "callbackURL=http%3A%2F%2Fother.test%2F");
    fetch(http().get(foreign)).await.assert_success();
    world.create("/h", "").await.assert_success();
    wait_for("the list to be looked at", || world.sims[0].call_count("hooks/list") >= 2).await;
    assert_eq!(world.counts(), [2]);
    assert!(!world.gateway.get("hooks/list", "").await.body.contains("other.test"));
}

#[tokio::test]
async fn without_a_public_url_there_are_no_hooks() {
    let sims = sims(1).await;
    let gateway = Gateway::start(settings(&sims)).await;
    let query = "callbackURL=http%3A%2F%2Fa.test%2F";
    gateway.get("hooks/create", query).await.assert_failed("unsupportedRequest");
    assert_eq!(sims[0].call_count("hooks/create"), 0);
}
