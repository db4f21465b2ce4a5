//! What operators and monitoring ask, over a real socket.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::Value;
use tinyscale::app::App;
use tinyscale::bbb::secret::Secret;
use tinyscale::cluster::health::Health;
use tinyscale::config::settings::admin::{AdminSettings, AdminToken, Role};
use tinyscale::config::settings::{Address, Listen, Settings};

use crate::edge::authority::{Authority, encrypted};
use crate::harness::{Answer, Gateway, World, fetch, http, settings, sims, wait_for};

pub(crate) const VIEWER: &str = "a-viewer-who-may-only-look";
pub(crate) const OPERATOR: &str = "an-operator-who-may-change";

/// `count` servers, with a listener for operators who have these tokens.
pub(crate) async fn world(count: usize, tokens: &[(Role, &str)]) -> World {
    let sims = sims(count).await;
    let settings = administrated(&sims, tokens);
    World { gateway: Gateway::start(settings).await, sims }
}

fn administrated(sims: &[sim::Sim], tokens: &[(Role, &str)]) -> Settings {
    let mut settings = settings(sims);
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listen = Listen { address: Address::Ip(loopback), ..settings.listen[0].clone() };
    let tokens = tokens.iter().map(|(role, token)| AdminToken {
        name: role.name().to_owned(),
        role: *role,
        token: Secret::new(token).unwrap(),
    });
    settings.admin = Some(AdminSettings { listen, tokens: tokens.collect() });
    settings
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

#[tokio::test]
async fn a_drain_has_an_end_and_words_and_is_seen_until_the_server_is_empty() {
    let world = world(2, &[(Role::Operator, OPERATOR)]).await;
    let gateway = &world.gateway;
    gateway.get("create", "meetingID=m1&name=m1&moderatorPW=mp").await.assert_success();
    let home = gateway.home("m1").unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mode = format!("/api/v1/servers/{home}/mode");
    for (wrong, why) in [
        (format!(r#"{{"mode": "drain", "until_unix_s": {now}000}}"#), "more than a year"),
        (r#"{"mode": "serve", "message": "x"}"#.to_owned(), "drain only"),
    ] {
        let answer = ask(gateway, Method::PUT, &mode, OPERATOR, &wrong).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(json(&answer)["error"].as_str().unwrap().contains(why), "{answer:?}");
    }
    let until = now + 3600;
    let drain = format!(r#"{{"mode": "drain", "until_unix_s": {until}, "message": "Bye!"}}"#);
    let answer = ask(gateway, Method::PUT, &mode, OPERATOR, &drain).await;
    let row = json(&answer);
    assert_eq!((row["mode"].as_str(), row["meetings"].as_u64()), (Some("drain"), Some(1)));
    assert_eq!(
        (row["drain"]["until_unix_s"].as_u64(), &row["drain"]["message"]),
        (Some(until), &"Bye!".into())
    );
    assert_eq!((&row["drained"], &row["overdue"]), (&false.into(), &false.into()));
    let sim = world.server_of("m1");
    wait_for("the meeting to be told", || sim.call_count("sendChatMessage") == 1).await;
    gateway.get("end", "meetingID=m1&password=mp").await.assert_success();
    wait_for("the meeting to be gone", || gateway.home("m1").is_none()).await;
    let listed = json(&ask(gateway, Method::GET, "/api/v1/servers", OPERATOR, "").await);
    let mut rows = listed["servers"].as_array().unwrap().iter();
    assert_eq!(rows.find(|row| row["name"] == home.as_str()).unwrap()["drained"], true);
    let events = json(&ask(gateway, Method::GET, "/api/v1/events", OPERATOR, "").await);
    let set = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "operator");
    assert_eq!(set.unwrap()["text"], "set to drain; 1 meetings, 0 people", "{events}");
}

#[tokio::test]
async fn what_is_given_up_and_comes_back_is_listed_as_double() {
    let world = world(2, &[(Role::Viewer, VIEWER), (Role::Operator, OPERATOR)]).await;
    let gateway = &world.gateway;
    gateway.get("create", "meetingID=m1&name=m1").await.assert_success();
    let home = gateway.home("m1").unwrap();
    let give_up = format!("/api/v1/servers/{home}/give-up");
    let alive = ask(gateway, Method::POST, &give_up, OPERATOR, "").await;
    assert_eq!(alive.status, 409, "{alive:?}");
    let nowhere = ask(gateway, Method::POST, "/api/v1/servers/x/give-up", OPERATOR, "").await;
    assert_eq!(nowhere.status, 404);
    let sim = world.sims.iter().find(|sim| sim.name() == home).unwrap();
    sim.stop().await;
    gateway.wait_health(&home, Health::Down).await;
    assert_eq!(ask(gateway, Method::POST, &give_up, VIEWER, "").await.status, 403);
    let lost = ask(gateway, Method::POST, &give_up, OPERATOR, "").await;
    assert_eq!((lost.status, &json(&lost)["lost_meetings"]), (200, &1.into()), "{lost:?}");
    gateway.get("create", "meetingID=m1&name=m1").await.assert_success();
    assert_ne!(gateway.home("m1").unwrap(), home);
    sim.restart().await.unwrap();
    wait_for("the double to be seen", || !gateway.state.doubles().is_empty()).await;
    let doubles = json(&ask(gateway, Method::GET, "/api/v1/doubles", VIEWER, "").await);
    assert_eq!(doubles["doubles"][0]["server"], home.as_str());
    assert_eq!(doubles["doubles"][0]["internal_ids"].as_array().unwrap().len(), 1);
    let listed = json(&ask(gateway, Method::GET, "/api/v1/servers", VIEWER, "").await);
    let mut rows = listed["servers"].as_array().unwrap().iter();
    assert_eq!(rows.find(|row| row["name"] == home.as_str()).unwrap()["doubles"], 1);
}

#[tokio::test]
async fn a_drain_is_a_number_that_goes_to_nothing() {
    let world = world(2, &[(Role::Operator, OPERATOR)]).await;
    let gateway = &world.gateway;
    gateway.get("create", "meetingID=m1&name=m1&moderatorPW=mp").await.assert_success();
    let home = gateway.home("m1").unwrap();
    let metrics = || async { ask(gateway, Method::GET, "/metrics", OPERATOR, "").await.body };
    let remaining =
        |count| format!("tinyscale_server_drain_remaining_meetings{{server=\"{home}\"}} {count}\n");
    let doubles = format!("tinyscale_server_doubles{{server=\"{home}\"}} 0.0\n");
    let before = metrics().await;
    assert!(!before.contains("drain_remaining_meetings{") && before.contains(&doubles), "{before}");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let drain = format!(r#"{{"mode": "drain", "until_unix_s": {}}}"#, now + 60);
    let mode = format!("/api/v1/servers/{home}/mode");
    assert_eq!(ask(gateway, Method::PUT, &mode, OPERATOR, &drain).await.status, 200);
    let text = metrics().await;
    assert!(text.contains(&remaining("1.0")), "{text}");
    let deadline = "tinyscale_server_drain_deadline_timestamp_seconds";
    let deadline = format!("{deadline}{{server=\"{home}\"}} {}.0\n", now + 60);
    assert!(text.contains(&deadline), "{text}");
    gateway.get("end", "meetingID=m1&password=mp").await.assert_success();
    wait_for("the meeting to be gone", || gateway.home("m1").is_none()).await;
    assert!(metrics().await.contains(&remaining("0.0")));
}

#[tokio::test]
async fn certificates_and_reloads_are_told_once_there_are_any() {
    let sims = sims(1).await;
    let authority = Authority::new();
    let short = Authority::params(&["a.test"]);
    let expiry = short.not_after.unix_timestamp();
    let mut long = Authority::params(&["a.test", "b.test"]);
    long.not_after += time::Duration::days(9);
    let files = vec![authority.write("long", &long), authority.write("short", &short)];
    let mut settings = administrated(&sims, &[]);
    settings.listen = vec![encrypted(files)];
    let app = App::new(settings).unwrap();
    app.read_from(Box::new(|| Err("nothing good".to_owned())), None);
    let gateway = Gateway::run(&app).await;
    let before = get(&gateway, "/metrics").await.body;
    let line =
        format!("tinyscale_certificate_expiry_timestamp_seconds{{name=\"a.test\"}} {expiry}.0\n");
    assert!(before.contains(&line), "{line}{before}");
    // One line for each name, or Prometheus would refuse all of it.
    assert_eq!(before.matches("expiry_timestamp_seconds{").count(), 1, "{before}");
    assert!(!before.contains("_last_reload_"), "{before}");
    assert!(app.reload().outcome.is_err());
    let after = get(&gateway, "/metrics").await.body;
    assert!(after.contains("tinyscale_config_last_reload_successful 0.0\n"), "{after}");
}

/// The rules are well-formed, and each metric that one of them asks for exists.
#[tokio::test]
async fn the_alert_rules_ask_for_what_is_told() {
    let rules = "conf/prometheus/alerts.yml";
    let mut promtool = tokio::process::Command::new("promtool");
    let checked = promtool.args(["check", "rules", rules]).output().await.unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let world = world(1, &[]).await;
    let told = get(&world.gateway, "/metrics").await.body;
    let rules = std::fs::read_to_string(rules).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let asked: Vec<&str> = words.filter(|word| word.starts_with("tinyscale_")).collect();
    assert!(asked.len() > 6, "{asked:?}");
    for metric in asked {
        // There is no reload before the first one.
        let exists =
            told.contains(&format!("# TYPE {metric} ")) || metric.contains("_last_reload_");
        assert!(exists, "nothing tells {metric}");
    }
}
