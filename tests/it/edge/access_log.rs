//! The access log: what it says of each kind of request, and that its ID goes where it should. Rotation needs a
//! process: `process`.

use std::path::Path;

use serde_json::Value;
use tinyscale::bbb::id::{KeyHash, MeetingId, TenantId};
use tinyscale::config::settings::Settings;
use tinyscale::config::settings::traffic::{AccessLogSettings, LogAddresses, LogTarget};

use crate::harness::{Gateway, fetch, http, raw, settings, sims, wait_for};

fn logged(mut settings: Settings, path: &Path) -> Settings {
    settings.access_log = AccessLogSettings {
        to: LogTarget::File(path.to_owned()),
        addresses: LogAddresses::Full,
        ..AccessLogSettings::default()
    };
    settings
}

async fn lines(path: &Path, count: usize) -> Vec<Value> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    wait_for(&format!("{count} lines"), || read().lines().count() >= count).await;
    let text = read();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

#[track_caller]
fn check(line: &Value, expected: &[(&str, Value)]) {
    for (key, value) in expected {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
}

#[tokio::test]
async fn every_request_is_one_line_that_says_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sims = sims(1).await;
    let gateway = Gateway::start(logged(settings(&sims), &path)).await;
    let create = "meetingID=room&name=CANARY&meta_bbb-meeting-size-hint=30";
    let answer = gateway.get("create", create).await;
    answer.assert_success();
    gateway.get("create", create).await.assert_success();
    gateway.get("join", "meetingID=room&fullName=CANARY&role=VIEWER").await;
    gateway.get("getMeetings", "").await.assert_success();
    gateway.get("end", "meetingID=unknown").await.assert_failed("notFound");
    fetch(http().get(format!("{}/create?meetingID=room&checksum=CANARY", gateway.api()))).await;
    fetch(http().get(format!("http://{}/CANARY?CANARY", gateway.address))).await;
    raw(gateway.address, b"GET /CANARY HTTP/1.1\r\nHost: CANARY\nX: y\nZ: y\r\n\r\n").await;
    let lines = lines(&path, 8).await;
    let hash = KeyHash::of(TenantId::DEFAULT, &MeetingId::new("room").unwrap()).to_string();
    let (ok, made) = (Value::from("SUCCESS"), Value::from(hash));
    let about = |decision: &'static str| {
        [("meeting", made.clone()), ("server", "bbb1".into()), ("decision", decision.into())]
    };
    check(&lines[0], &about("created"));
    check(
        &lines[0],
        &[
            ("result", ok.clone()),
            ("people", 30.into()),
            ("call", "create".into()),
            ("path", "/bigbluebutton/api/create".into()),
            ("method", "GET".into()),
            ("protocol", "HTTP/1.1".into()),
            ("status", 200.into()),
            ("address", "127.0.0.1".into()),
            ("tenant", "default".into()),
            ("bytes", answer.body.len().into()),
            ("request_id", answer.header("x-request-id").into()),
        ],
    );
    assert!(lines[0]["upstream_ms"].is_u64(), "{}", lines[0]);
    check(&lines[1], &about("existing"));
    check(&lines[2], &about("redirected"));
    check(&lines[2], &[("status", 302.into()), ("call", "join".into())]);
    check(&lines[3], &[("result", ok), ("decision", "all".into())]);
    check(&lines[4], &[("result", "notFound".into()), ("server", Value::Null)]);
    check(&lines[5], &[("result", "checksumError".into()), ("meeting", Value::Null)]);
    check(&lines[6], &[("path", "/-".into()), ("result", "unsupportedRequest".into())]);
    check(&lines[7], &[("path", "/-".into()), ("result", "malformedRequest".into())]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("CANARY"), "{text}");
}

#[tokio::test]
async fn a_trusted_proxy_names_requests_and_nobody_else() {
    let sims = sims(1).await;
    let ask = async |settings: Settings| {
        let gateway = Gateway::start(settings).await;
        let url = gateway.url("create", "meetingID=room&name=nn");
        let answer = fetch(http().get(url).header("X-Request-Id", "from-outside")).await;
        answer.assert_success();
        answer.header("x-request-id").to_owned()
    };
    let told = || {
        let calls = sims[0].calls();
        let call = calls.iter().rev().find(|call| call.name == "create").unwrap();
        call.header("x-request-id").unwrap_or_default().to_owned()
    };
    let made = ask(settings(&sims)).await;
    assert_eq!((made.len(), told()), (32, made));
    let mut trusting = settings(&sims);
    trusting.trusted_proxies.networks = vec!["127.0.0.0/8".parse().unwrap()];
    let given = ask(trusting).await;
    assert_eq!((given.as_str(), told().as_str()), ("from-outside", "from-outside"));
}
