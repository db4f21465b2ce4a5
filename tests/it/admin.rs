//! What operators and monitoring ask, over a real socket.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::Value;
use tinyscale::bbb::secret::Secret;
use tinyscale::cluster::health::Health;
use tinyscale::config::settings::admin::{AdminSettings, AdminToken, Role};
use tinyscale::config::settings::{Address, Listen};

use crate::harness::{Answer, Gateway, World, fetch, http, settings, sims};

const VIEWER: &str = "a-viewer-who-may-only-look";
const OPERATOR: &str = "an-operator-who-may-change";

/// `count` servers, with a listener for operators who have these tokens.
async fn world(count: usize, tokens: &[(Role, &str)]) -> World {
    let sims = sims(count).await;
    let mut settings = settings(&sims);
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listen = Listen { address: Address::Ip(loopback), ..settings.listen[0].clone() };
    let tokens = tokens.iter().map(|(role, token)| AdminToken {
        name: role.name().to_owned(),
        role: *role,
        token: Secret::new(token).unwrap(),
    });
    settings.admin = Some(AdminSettings { listen, tokens: tokens.collect() });
    World { gateway: Gateway::start(settings).await, sims }
}

async fn ask(gateway: &Gateway, method: Method, path: &str, token: &str, body: &str) -> Answer {
    let url = format!("http://{}{path}", gateway.admin());
    let mut request = http().request(method, url);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_empty() {
        request = request.header("Content-Type", "application/json").body(body.to_owned());
    }
    fetch(request).await
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    ask(gateway, Method::GET, path, "", "").await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn it_is_ready_while_a_server_can_take_a_meeting() {
    let world = world(1, &[(Role::Viewer, VIEWER)]).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(&world.gateway, path).await.status, 200, "{path}");
    }
    world.gateway.set_mode("bbb1", tinyscale::cluster::server::Mode::Drain);
    assert_eq!(get(&world.gateway, "/readyz").await.status, 503);
    assert_eq!(get(&world.gateway, "/livez").await.status, 200);
}

#[tokio::test]
async fn only_those_with_a_token_come_in_and_only_operators_change_anything() {
    let world = world(1, &[(Role::Viewer, VIEWER), (Role::Operator, OPERATOR)]).await;
    let gateway = &world.gateway;
    let mode = "/api/v1/servers/bbb1/mode";
    let drain = r#"{"mode": "drain"}"#;
    for path in ["/metrics", "/metrics/bbb", "/sd/prometheus", "/api/v1/servers"] {
        for wrong in ["", "wrong", crate::harness::SECRET, "a-viewer-who-may-only-loo"] {
            let answer = ask(gateway, Method::GET, path, wrong, "").await;
            assert_eq!(answer.status, 401, "{path} {wrong}");
        }
        assert_eq!(ask(gateway, Method::GET, path, VIEWER, "").await.status, 200, "{path}");
    }
    assert_eq!(ask(gateway, Method::PUT, mode, "", drain).await.status, 401);
    assert_eq!(ask(gateway, Method::PUT, mode, VIEWER, drain).await.status, 403);
    let answer = ask(gateway, Method::GET, "/api/v1/servers", VIEWER, "").await;
    assert_eq!(json(&answer)["servers"][0]["mode"], "serve");
    let answer = ask(gateway, Method::PUT, mode, OPERATOR, drain).await;
    assert_eq!((answer.status, json(&answer)["mode"].as_str()), (200, Some("drain")));
    gateway.get("create", "meetingID=m1&name=m1").await.assert_failed("internalError");
    let unknown = ask(gateway, Method::PUT, "/api/v1/servers/x/mode", OPERATOR, drain).await;
    assert_eq!(unknown.status, 404);
    let nonsense = ask(gateway, Method::PUT, mode, OPERATOR, r#"{"mode": "fly"}"#).await;
    assert_eq!(nonsense.status, 422);
}

#[tokio::test]
async fn without_tokens_this_machine_may_look_and_nothing_else() {
    let world = world(1, &[]).await;
    let gateway = &world.gateway;
    assert_eq!(get(gateway, "/api/v1/servers").await.status, 200);
    let mode = "/api/v1/servers/bbb1/mode";
    let answer = ask(gateway, Method::PUT, mode, "", r#"{"mode": "drain"}"#).await;
    assert_eq!(answer.status, 403);
    let url = format!("http://{}/api/v1/servers", gateway.admin());
    let rebound = fetch(http().get(url).header("Host", "evil.example")).await;
    assert_eq!(rebound.status, 401);
}

#[tokio::test]
async fn a_meeting_is_found_by_its_id_and_named_nowhere() {
    let world = world(2, &[]).await;
    let gateway = &world.gateway;
    gateway.get("create", "meetingID=very-private&name=Secret+talk").await.assert_success();
    let home = gateway.home("very-private").unwrap();
    let find = "/api/v1/meetings/find";
    let answer = ask(gateway, Method::POST, find, "", r#"{"id": "very-private"}"#).await;
    assert_eq!(json(&answer)["server"], home.as_str(), "{answer:?}");
    let unknown = ask(gateway, Method::POST, find, "", r#"{"id": "other"}"#).await;
    assert_eq!(unknown.status, 404);
    let placed = get(gateway, "/api/v1/placements").await;
    assert_eq!(json(&placed)["placements"][0]["server"], home.as_str());
    for answer in
        [answer, placed, get(gateway, "/metrics").await, get(gateway, "/metrics/bbb").await]
    {
        assert!(!answer.body.contains("private") && !answer.body.contains("Secret"), "{answer:?}");
    }
}

#[tokio::test]
async fn greenstatics_names_and_shape_are_kept() {
    let world = world(2, &[]).await;
    let gateway = &world.gateway;
    gateway.get("create", "meetingID=m1&name=m1").await.assert_success();
    let home = gateway.home("m1").unwrap();
    let one = get(gateway, &format!("/metrics/bbb/{home}")).await;
    assert!(one.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "# TYPE bbb_meetings gauge\nbbb_meetings 1.0\n",
        "# TYPE bbb_room_participants histogram\nbbb_room_participants_bucket{le=\"0\"} 1.0\n",
        "# TYPE bbb_room_participants_gcount gauge\nbbb_room_participants_gcount 1.0\n",
        "# TYPE bbb_room_participants_gsum gauge\nbbb_room_participants_gsum 0.0\n",
        "bbb_api_up 1.0\n",
        "bbb_api_latency_bucket{endpoint=\"getMeetings\",parameters=\"\",le=\"+Inf\"} ",
        "bbb_exporter{version=\"tinyscale-",
    ] {
        assert!(one.body.contains(line), "{line}\n{}", one.body);
    }
    let all = get(gateway, "/metrics/bbb").await.body;
    assert!(all.contains(&format!("bbb_meetings{{instance=\"{home}\"}} 1.0\n")), "{all}");
    assert_eq!(get(gateway, "/metrics/bbb/bbb9").await.status, 404);
    let targets = json(&get(gateway, "/sd/prometheus").await);
    assert_eq!(targets[1]["targets"][0], gateway.admin().to_string());
    assert_eq!(targets[1]["labels"]["__metrics_path__"], "/metrics/bbb/bbb2");
}

#[tokio::test]
async fn a_server_that_is_down_has_no_numbers_of_old() {
    let world = world(2, &[]).await;
    let gateway = &world.gateway;
    world.sims[0].stop().await;
    gateway.wait_health("bbb1", Health::Down).await;
    let text = get(gateway, "/metrics/bbb").await.body;
    assert!(text.contains("bbb_api_up{instance=\"bbb1\"} 0.0\n"), "{text}");
    assert!(!text.contains("bbb_meetings{instance=\"bbb1\"}"), "{text}");
    let own = get(gateway, "/metrics").await.body;
    assert!(own.contains("tinyscale_server_up{server=\"bbb1\"} 0.0\n"), "{own}");
    assert!(own.contains("tinyscale_servers_usable 1.0\n"), "{own}");
}
