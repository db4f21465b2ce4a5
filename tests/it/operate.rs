//! The commands of operators, as a process of their own that asks a tinyscale that runs.

use serde_json::Value;
use tinyscale::cluster::drain::Drain;
use tinyscale::cluster::health::Health;
use tinyscale::cluster::server::Mode;
use tinyscale::config::settings::admin::Role;

use crate::admin::{OPERATOR, VIEWER, world};
use crate::harness::{Gateway, World};
use crate::process::{self, Ended, Operator};

const TOKEN: &str = "TINYSCALE_ADMIN_TOKEN";
const CREATE: &str = "meetingID=room&name=nn&moderatorPW=mp";

async fn operated(count: usize) -> World {
    world(count, &[(Role::Viewer, VIEWER), (Role::Operator, OPERATOR)]).await
}

/// Somebody with a configuration file that says where `gateway` answers operators, and with this token.
fn somebody(gateway: &Gateway, token: &str) -> Operator {
    let yaml = format!("admin: {{ address: \"{}\" }}\n", gateway.admin());
    let operator = Operator::new().file("tinyscale.yaml", yaml).args(["-c", "tinyscale.yaml"]);
    if token.is_empty() { operator } else { operator.with(TOKEN, token) }
}

async fn run(gateway: &Gateway, args: &[&str]) -> Ended {
    somebody(gateway, OPERATOR).more(args).run().await
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, words: &str) {
    let Ended { out, err, .. } = ended;
    assert_eq!(ended.code, Some(code), "{out}{err}");
    let said = if code == 1 || code == 2 { err } else { out };
    assert!(said.contains(words), "no {words:?} in:\n{out}{err}");
}

fn mode(gateway: &Gateway, server: &str) -> (Mode, Option<Drain>) {
    let standings = gateway.state.standings();
    let found = standings.into_iter().find(|one| one.name.as_str() == server).unwrap();
    (found.mode, found.drain)
}

#[tokio::test]
async fn status_has_a_line_for_each_server() {
    let world = operated(2).await;
    let gateway = &world.gateway;
    gateway.get("create", CREATE).await.assert_success();
    let home = gateway.home("room").unwrap();
    let ended = somebody(gateway, VIEWER).more(&["status"]).run().await;
    assert_ended(&ended, 0, "HOSTNAME  STATE  STATUS  MEETINGS  USERS  LARGEST MEETING  VIDEOS");
    assert_eq!(ended.out.lines().count(), 3, "{}", ended.out);
    let line = ended.out.lines().find(|line| line.starts_with(&home)).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..4], ["serve", "up", "1"], "{line}");
    let ended = run(gateway, &["status", "--json"]).await;
    let listed: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(listed["servers"].as_array().unwrap().len(), 2);
    assert_eq!(ended.err, "");
}

#[tokio::test]
async fn modes_are_set_and_an_end_and_words_arrive() {
    let world = operated(1).await;
    let gateway = &world.gateway;
    let tell = ["drain", "bbb1", "--for", "2h", "--tell", "Bye & thanks"];
    assert_ended(&run(gateway, &tell).await, 0, "bbb1 takes no new meetings, until ");
    let (set, drain) = mode(gateway, "bbb1");
    let drain = drain.unwrap();
    assert_eq!((set, drain.message.as_deref()), (Mode::Drain, Some("Bye & thanks")));
    let length = drain.until_unix_s.unwrap() - drain.since_unix_s;
    assert!((7100..=7200).contains(&length), "{length}");
    assert_ended(&run(gateway, &["status"]).await, 0, "drained");
    // On the clock of somebody five hours ahead of UTC.
    let wanted = (drain.since_unix_s / 60 + 60) * 60;
    let there = jiff::Timestamp::from_second(wanted.try_into().unwrap()).unwrap();
    let there = there.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(5)));
    let text = there.strftime("%Y-%m-%d %H:%M").to_string();
    let until = ["drain", "bbb1", "--until", &text];
    let ahead = somebody(gateway, OPERATOR).with("TZ", "XYZ-5").more(&until).run().await;
    assert_ended(&ahead, 0, &there.strftime("until %a %d %b %H:%M").to_string());
    assert_eq!(mode(gateway, "bbb1").1.unwrap().until_unix_s, Some(wanted));
    assert_ended(&run(gateway, &["serve", "bbb1"]).await, 0, "bbb1 takes new meetings");
    assert_eq!(mode(gateway, "bbb1"), (Mode::Serve, None));
    assert_ended(&run(gateway, &["disable", "bbb1"]).await, 0, "bbb1 is not used");
    assert_eq!(mode(gateway, "bbb1").0, Mode::Disable);
}

#[tokio::test]
async fn a_wait_ends_well_when_the_last_meeting_has_ended() {
    let world = operated(2).await;
    let gateway = &world.gateway;
    gateway.get("create", CREATE).await.assert_success();
    let home = gateway.home("room").unwrap();
    let waiting = somebody(gateway, OPERATOR).more(&["drain", &home, "--wait"]).start();
    waiting.says("takes no new meetings; 1 meetings with 0 people are there").await;
    gateway.get("end", "meetingID=room&password=mp").await.assert_success();
    assert_ended(&waiting.end().await, 0, "is drained: no meeting is left");
}

#[tokio::test]
async fn a_wait_that_is_over_before_the_meetings_are_says_so_and_ends_none() {
    let world = operated(1).await;
    let gateway = &world.gateway;
    gateway.get("create", CREATE).await.assert_success();
    let wait = ["drain", "bbb1", "--for", "1s", "--tell", "", "--wait", "--json"];
    let ended = run(gateway, &wait).await;
    assert_eq!(ended.code, Some(3), "{}{}", ended.out, ended.err);
    let row: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((row["meetings"].as_u64(), &row["drained"]), (Some(1), &false.into()));
    assert!(world.sims[0].meeting("room").is_some());
    assert_eq!(world.sims[0].call_count("end"), 0);
}

#[tokio::test]
async fn a_wait_for_a_drain_that_is_called_off_fails() {
    let world = operated(1).await;
    let gateway = &world.gateway;
    gateway.get("create", CREATE).await.assert_success();
    let waiting = somebody(gateway, OPERATOR).more(&["drain", "bbb1", "--wait"]).start();
    waiting.says("1 meetings").await;
    gateway.state.set_mode("bbb1", Mode::Serve, Drain::default()).await.unwrap();
    assert_ended(&waiting.end().await, 1, "called off: bbb1 is set to serve");
}

#[tokio::test]
async fn what_is_mistyped_is_said() {
    let world = operated(2).await;
    let gateway = &world.gateway;
    let unknown = run(gateway, &["drain", "bbb7"]).await;
    assert_ended(&unknown, 1, "there is no server called bbb7; the servers are bbb1, bbb2");
    assert_ended(&run(gateway, &["drain", "../livez"]).await, 2, "letters, digits");
    let both = ["drain", "bbb1", "--for", "1h", "--until", "18:00"];
    assert_ended(&run(gateway, &both).await, 2, "cannot be used with");
    assert_ended(&run(gateway, &["drain", "bbb1", "--for", "soon"]).await, 2, "like 2h, 90m");
    let past = ["drain", "bbb1", "--until", "2020-01-01 18:00"];
    assert_ended(&run(gateway, &past).await, 1, "this time has passed");
    let long = "x".repeat(501);
    let told = run(gateway, &["drain", "bbb1", "--tell", &long]).await;
    assert_ended(&told, 1, "longer than 500 characters");
    assert_ended(&run(gateway, &["give-up", "bbb1"]).await, 1, "bbb1 answers");
    assert_ended(&run(gateway, &["meeting", "find", "x"]).await, 1, "no such meeting");
    for server in ["bbb1", "bbb2"] {
        assert_eq!(mode(gateway, server).0, Mode::Serve);
    }
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing() {
    let world = operated(1).await;
    let gateway = &world.gateway;
    let drain = ["drain", "bbb1"];
    let viewer = somebody(gateway, VIEWER).more(&drain).run().await;
    assert_ended(&viewer, 1, "this token may only look");
    let nobody = somebody(gateway, "").more(&drain).run().await;
    assert_ended(
        &nobody,
        1,
        "--token-file FILE with one of `admin.tokens`, or TINYSCALE_ADMIN_TOKEN",
    );
    let wrong = somebody(gateway, "CANARY-wrong").more(&drain).run().await;
    assert_ended(&wrong, 1, "the token is not one of `admin.tokens`");
    let missing = somebody(gateway, "").more(&["status", "--token-file", "none"]).run().await;
    assert_ended(&missing, 1, "the token file none cannot be read");
    assert_eq!(mode(gateway, "bbb1").0, Mode::Serve);
    let file = somebody(gateway, VIEWER).file("op.token", format!("{OPERATOR}\n"));
    let file = file.more(&["drain", "bbb1", "--token-file", "op.token"]).run().await;
    assert_ended(&file, 0, "takes no new meetings");
    let open = self::world(1, &[]).await;
    let ended = somebody(&open.gateway, "").more(&["status"]).run().await;
    assert_ended(&ended, 0, "bbb1");
    let ended = somebody(&open.gateway, "").more(&drain).run().await;
    assert_ended(&ended, 1, "add one with the role operator");
}

#[tokio::test]
async fn where_nobody_answers_it_says_what_to_write() {
    let status = ["-c", "tinyscale.yaml", "status"];
    let without = Operator::new().file("tinyscale.yaml", "threads: 1\n").args(status);
    without.refused(["tinyscale.yaml has no `admin`", "`admin: {}`", "restart tinyscale"]).await;
    // Bound and not listening: nobody else gets it, and nobody answers.
    let (_reserved, port) = process::reserve(0).unwrap();
    let yaml = format!("admin: {{ address: \"127.0.0.1:{port}\" }}\n");
    let closed = Operator::new().file("tinyscale.yaml", yaml).args(status);
    closed.refused(["nobody answers at 127.0.0.1", "refused", "`admin: {}`"]).await;
    let broken = Operator::new().file("tinyscale.yaml", "admin: { adress: x }\n").args(status);
    broken.refused(["tinyscale.yaml:1:", "adress"]).await;
}

#[tokio::test]
async fn what_happened_is_told_and_a_meeting_is_found() {
    let world = operated(2).await;
    let gateway = &world.gateway;
    gateway.get("create", CREATE).await.assert_success();
    let home = gateway.home("room").unwrap();
    let found = run(gateway, &["meeting", "find", "room"]).await;
    assert_ended(&found, 0, &format!("on {home}: running, 0 people"));
    let placed = run(gateway, &["placements"]).await;
    assert_ended(&placed, 0, &home);
    assert!(!placed.out.contains("room"), "{}", placed.out);
    world.server_of("room").stop().await;
    gateway.wait_health(&home, Health::Down).await;
    assert_ended(&run(gateway, &["give-up", &home]).await, 0, "is given up; 1 meetings are lost");
    let events = run(gateway, &["events"]).await;
    assert_ended(&events, 0, "operator");
    assert!(events.out.lines().last().unwrap().contains("given up; 1 meetings"), "{}", events.out);
}

/// As on a machine: one file for both, and a socket that only this machine has.
#[tokio::test]
async fn each_change_is_in_the_audit_log_with_who() {
    let sims = process::sims(1).await;
    let (url, secret) = (sims[0].url(), sims[0].secret());
    let yaml = format!(
        "listen: [{{ address: \"127.0.0.1:0\" }}]\nsecrets: [{{ env: FRONT }}]\nadmin:\n  address: \
         unix:admin.sock\n  tokens: [{{ name: alice, role: operator, token: {{ env: ALICE }} }}]\nservers: \
         [{{ name: bbb1, url: \"{url}\", secret: \"{secret}\" }}]\n"
    );
    let folder = Operator::new().without("TINYSCALE_SECRET").without("PORT");
    let folder = folder.file("tinyscale.yaml", yaml).args(["-c", "tinyscale.yaml"]);
    let token = "CANARY-token-of-alice-here";
    let running = folder.clone().with("FRONT", "CANARY-front").with("ALICE", token).start();
    running.address().await;
    // Whoever asks has none of the secrets that the file names.
    let alice = folder.with(TOKEN, token);
    let tell = ["drain", "bbb1", "--tell", "CANARY words"];
    assert_ended(&alice.clone().more(&tell).run().await, 0, "takes no new meetings");
    running.says("mode set; server=bbb1 mode=drain until_unix_s=- own_message=true by=alice").await;
    assert_ended(&alice.more(&["serve", "bbb1"]).run().await, 0, "takes new meetings");
    running.says("mode=serve until_unix_s=- own_message=false by=alice").await;
}
