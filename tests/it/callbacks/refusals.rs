//! Callbacks that nobody may send, and addresses that nobody may have called.

use sim::{Fault, Recording};
use tinyscale::callback::jwt::Algorithm;

use crate::callbacks::{World, encoded, post, token};
use crate::harness::{Gateway, SECRET, fetch, http, settings, sims};

#[tokio::test]
async fn strangers_and_forgers_are_refused() {
    let world = World::start(1).await;
    let (server, ready) = world.create("meta_bbb-recording-ready-url", "/ready").await;
    let record_id = server.meeting("room").unwrap().internal_id;
    let claims = format!(r#"{{"meeting_id":"room","record_id":"{record_id}"}}"#);
    server.add_recording(Recording::of("room", server.meeting("room").unwrap().create_time));
    let form = |algorithm, of| format!("signed_parameters={}", token(&claims, algorithm, of));
    let base = format!("http://{}/callback/", world.gateway.address);
    let altered = format!("{ready}A");
    let cut = &ready[..ready.len() - 2];
    for stranger in [&base, &format!("{base}x"), &altered, cut, &ready.to_uppercase()] {
        let url = if stranger.starts_with("http") {
            stranger.to_owned()
        } else {
            format!("{base}{stranger}")
        };
        assert_eq!(
            post(&url, &form(Algorithm::Hs256, "secret-1"), None).await.status,
            404,
            "{url}"
        );
    }
    // bbblb-b3lb.md K5
    for form in [
        String::new(),
        "signed_parameters=".to_owned(),
        "signed_parameters=e30.e30.e30".to_owned(),
        form(Algorithm::Hs256, SECRET),
        form(Algorithm::Hs256, "secret-2"),
        form(Algorithm::Hs512, "secret-1"),
    ] {
        assert_eq!(post(&ready, &form, None).await.status, 401, "{form}");
    }
    assert_eq!(fetch(http().get(&ready)).await.status, 405);
    let large = "x".repeat(100_000);
    assert_eq!(post(&ready, &large, None).await.status, 413);
    assert_eq!(world.front.calls().len(), 0);
    assert_eq!(post(&ready, &form(Algorithm::Hs256, "secret-1"), None).await.status, 200);
    assert_eq!(world.front.call_count("/ready"), 1);
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_never_called() {
    let world = World::start_with(sims(1).await, |_| {}).await;
    let mut settings = settings(&world.sims);
    settings.public_url = Some("http://tinyscale.test".to_owned());
    let strict = Gateway::start(settings).await;
    let port = world.front.address().port();
    for (n, host) in
        ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"].iter().enumerate()
    {
        let url = encoded(&format!("http://{host}:{port}/ended"));
        let query = format!("meetingID=m{n}&name=nn&meetingEndedURL={url}");
        strict.get("create", &query).await.assert_success();
        let meeting = world.sims[0].meeting(&format!("m{n}")).unwrap();
        let own = meeting.params.iter().find(|(name, _)| name == "meetingEndedURL").unwrap();
        let path = own.1.strip_prefix("http://tinyscale.test").unwrap();
        let through = format!("http://{}{path}", strict.address);
        assert_eq!(fetch(http().get(&through)).await.status, 503, "{host}");
        // The same URL at the other gateway works, so it is the rule that stopped it.
        let allowed = format!("http://{}{path}", world.gateway.address);
        assert_eq!(fetch(http().get(&allowed)).await.status, 200, "{host}");
    }
    assert_eq!(world.front.call_count("/ended"), 4);
}

/// Sends everybody to `location`; on a port of its own.
pub(crate) async fn redirector(status: &'static str, location: String) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!(
                "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn redirects_of_an_end_are_followed_to_where_it_may_be_told() {
    let world = World::start(1).await;
    let front = world.front.address();
    for (n, (location, status)) in [
        (format!("http://{front}/ended?moved"), 200),
        (format!("http://[::ffff:169.254.169.254]:{}/ended", front.port()), 503),
        ("file:///etc/passwd".to_owned(), 503),
    ]
    .into_iter()
    .enumerate()
    {
        let through = redirector("302 Found", location).await;
        let url = encoded(&format!("http://{through}/"));
        let query = format!("meetingID=m{n}&name=nn&meetingEndedURL={url}");
        world.gateway.get("create", &query).await.assert_success();
        let meeting = world.sims[0].meeting(&format!("m{n}")).unwrap();
        let own = meeting.params.iter().find(|(name, _)| name == "meetingEndedURL").unwrap();
        assert_eq!(fetch(http().get(&own.1)).await.status, status);
    }
    assert_eq!(world.front.calls().len(), 1);
    assert_eq!(world.front.calls()[0].target, "/ended?moved");
}

#[tokio::test]
async fn a_redirected_post_is_tried_again_where_it_was_sent() {
    let world = World::start(1).await;
    let (server, url) = world.create("meta_bbb-recording-ready-url", "/ready").await;
    world.front.set_fault_once(Fault::Status(302), Some("/ready"));
    let id = world.publish(server, 1);
    world.told("/ready", 2).await;
    let claims = format!(r#"{{"meeting_id":"room","record_id":"{id}"}}"#);
    let form = format!("signed_parameters={}", token(&claims, Algorithm::Hs256, "secret-1"));
    assert_eq!(post(&url, &form, None).await.status, 200);
}
