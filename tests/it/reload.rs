//! Another configuration for a gateway that serves: servers come, change and go, secrets are exchanged, and
//! nothing is ever half taken.

use tinyscale::app::App;
use tinyscale::cluster::health::Health;
use tinyscale::config::settings::Settings;

use crate::harness::{Gateway, settings, sims, wait_for};

/// A gateway in front of the first `count` of `sims`, and the app to reload.
async fn start(sims: &[sim::Sim], count: usize) -> (App, Gateway) {
    let app = App::new(settings(&sims[..count])).unwrap();
    let gateway = Gateway::run(&app).await;
    (app, gateway)
}

fn listed(gateway: &Gateway) -> Vec<String> {
    let servers = gateway.state.servers();
    servers.iter().map(|(_, spec)| spec.name.to_string()).collect()
}

async fn create(gateway: &Gateway, meeting: &str) {
    let answer = gateway.get("create", &format!("meetingID={meeting}&name=nn")).await;
    answer.assert_success();
}

#[tokio::test]
async fn a_new_server_is_asked_and_takes_meetings() {
    let sims = sims(2).await;
    let (app, gateway) = start(&sims, 1).await;
    create(&gateway, "one").await;
    let report = app.take(settings(&sims)).unwrap();
    assert_eq!(
        report.changed,
        ["server bbb2 is new: it takes meetings after its first good answer"]
    );
    assert!(report.later.is_empty() && report.warnings.is_empty(), "{report:?}");
    gateway.wait_health("bbb2", Health::Up).await;
    create(&gateway, "two").await;
    assert_eq!(gateway.home("two").as_deref(), Some("bbb2"));
    gateway.get("getMeetingInfo", "meetingID=two").await.assert_success();
    let list = gateway.get("getMeetings", "").await;
    assert!(list.body.contains("one") && list.body.contains("two"), "{}", list.body);
}

#[tokio::test]
async fn a_removed_server_stays_until_its_meetings_have_ended() {
    let sims = sims(2).await;
    let (app, gateway) = start(&sims, 2).await;
    create(&gateway, "one").await;
    create(&gateway, "two").await;
    assert_eq!((sims[0].meeting_count(), sims[1].meeting_count()), (1, 1));
    let (stays, goes) = (&sims[..1], &sims[1]);
    let there = if gateway.home("one").as_deref() == Some(goes.name()) { "one" } else { "two" };
    let report = app.take(settings(stays)).unwrap();
    assert_eq!(report.changed, ["server bbb2 is no longer configured"]);
    let warning = &report.warnings[0];
    assert!(warning.contains("bbb2") && warning.contains("still has 1 meetings"), "{warning}");

    let query = format!("meetingID={there}");
    gateway.get("getMeetingInfo", &query).await.assert_success();
    gateway.get("create", &format!("{query}&name=nn")).await.assert_success();
    let join = gateway.get("join", &format!("{query}&fullName=Ada")).await;
    assert_eq!(join.status, 302);
    for n in 0..4 {
        create(&gateway, &format!("new{n}")).await;
    }
    assert_eq!(goes.meeting_count(), 1);
    assert!(app.take(settings(stays)).unwrap().changed.is_empty(), "told once");

    gateway.get("end", &query).await.assert_success();
    wait_for("bbb2 to be gone", || listed(&gateway) == ["bbb1"]).await;
    gateway.get("getMeetingInfo", &query).await.assert_failed("notFound");
    create(&gateway, there).await;
    assert_eq!(goes.meeting_count(), 0);
}

#[tokio::test]
async fn a_removed_server_that_is_down_is_gone_with_its_meetings() {
    let sims = sims(2).await;
    let (app, gateway) = start(&sims, 2).await;
    create(&gateway, "one").await;
    create(&gateway, "two").await;
    let lost = if gateway.home("one").as_deref() == Some("bbb2") { "one" } else { "two" };
    sims[1].stop().await;
    gateway.wait_health("bbb2", Health::Down).await;
    let query = format!("meetingID={lost}");
    gateway.get("getMeetingInfo", &query).await.assert_failed("internalError");
    let report = app.take(settings(&sims[..1])).unwrap();
    assert!(report.warnings[0].contains("1 meetings are given up"), "{report:?}");
    assert_eq!(listed(&gateway), ["bbb1"]);
    create(&gateway, lost).await;
    assert_eq!(gateway.home(lost).as_deref(), Some("bbb1"));
}

#[tokio::test]
async fn a_server_that_comes_back_while_it_leaves_is_the_same() {
    let sims = sims(1).await;
    let (app, gateway) = start(&sims, 1).await;
    create(&gateway, "one").await;
    let id = gateway.state.servers()[0].0;
    let mut other = settings(&sims);
    other.servers[0].spec.name = tinyscale::cluster::server::ServerName::new("other").unwrap();
    let report = app.take(other).unwrap();
    assert_eq!(report.changed, ["server bbb1 is called other"]);
    assert_eq!(gateway.home("one").as_deref(), Some("other"));
    app.take(settings(&sims)).unwrap();
    assert_eq!(gateway.state.servers()[0].0, id);
    create(&gateway, "two").await;
}

fn with_secret(sims: &[sim::Sim], secrets: &[&str]) -> Settings {
    let secret = |text: &&str| tinyscale::bbb::secret::Secret::new(text).unwrap();
    Settings { secrets: secrets.iter().map(secret).collect(), ..settings(sims) }
}

#[tokio::test]
async fn secrets_of_front_ends_are_exchanged() {
    let sims = sims(1).await;
    let (app, gateway) = start(&sims, 1).await;
    let report = app.take(with_secret(&sims, &["another-secret"])).unwrap();
    assert_eq!(report.changed, ["secrets of front ends: 1 new, 1 gone"]);
    gateway.get("getMeetings", "").await.assert_failed("checksumError");
    app.take(with_secret(&sims, &["another-secret", crate::harness::SECRET])).unwrap();
    gateway.get("getMeetings", "").await.assert_success();
}

#[tokio::test]
async fn a_servers_secret_is_exchanged() {
    let sims = sims(1).await;
    let mut wrong = settings(&sims);
    wrong.servers[0].spec.secret = tinyscale::bbb::secret::Secret::new("not-its-secret").unwrap();
    let app = App::new(wrong).unwrap();
    let gateway = Gateway::run(&app).await;
    gateway.get("create", "meetingID=room&name=nn").await.assert_failed("internalError");
    let report = app.take(settings(&sims)).unwrap();
    assert_eq!(report.changed, ["server bbb1: other secret"]);
    gateway.wait_health("bbb1", Health::Up).await;
    create(&gateway, "room").await;
    gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
}

#[tokio::test]
async fn what_needs_a_new_process_is_said_and_stays() {
    let sims = sims(1).await;
    let (app, gateway) = start(&sims, 1).await;
    let mut wanted = settings(&sims);
    wanted.threads = 7;
    wanted.listen[0].address = "127.0.0.1:1".parse().unwrap();
    wanted.limits.other_bodies_bytes = 5000;
    for _ in 0..2 {
        let report = app.take(wanted.clone()).unwrap();
        let keys: Vec<_> = report.later.iter().map(|text| text.split('`').nth(1)).collect();
        assert_eq!(keys, [Some("listen"), Some("threads")]);
        assert_eq!((app.settings().threads, app.settings().limits.other_bodies_bytes), (1, 5000));
    }
    gateway.get("getMeetings", "").await.assert_success();
}

#[tokio::test]
async fn what_cannot_be_taken_whole_changes_nothing() {
    let sims = sims(2).await;
    let (app, gateway) = start(&sims, 1).await;
    let mut bad = with_secret(&sims, &["another-secret"]);
    bad.servers[1].tls = tinyscale::config::settings::TlsCheck::Ca("/no/such/file".into());
    app.take(bad).unwrap_err();
    assert_eq!(listed(&gateway), ["bbb1"]);
    gateway.get("getMeetings", "").await.assert_success();
    app.read_from(Box::new(|| Err("tinyscale.yaml:1:1: no".to_owned())));
    let reload = app.reload();
    assert_eq!(reload.outcome, Err("tinyscale.yaml:1:1: no".to_owned()));
    assert_eq!(app.last_reload(), Some(reload));
    gateway.get("getMeetings", "").await.assert_success();
}
