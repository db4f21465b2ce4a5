//! Request bodies.

use std::time::Duration;

use futures::stream;
use sim::Fault;
use tinyscale::bbb::query;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{only_call, roomy};
use crate::harness::{
    DEADLINE, Gateway, World, ask, fetch, http, raw, settings, signed, sims, wait_for,
};

const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str = "application/xml";
const SLIDES: &str = "<modules><module name=\"presentation\"><document url=\"http://example.com/sample.pdf\" filename=\"Größe.pdf\"/></module></modules>";

fn large_slides(bytes: usize) -> String {
    let pdf = "QUJD".repeat(bytes / 4);
    format!(
        "<modules><module name=\"presentation\"><document name=\"b.pdf\">{pdf}</document></module></modules>"
    )
}

#[tokio::test]
async fn cr17_a_form_create_becomes_a_query() {
    let world = World::start(1).await;
    let form = format!("name=n+n&{}", signed("create", ""));
    for content_type in [FORM, "application/x-www-form-urlencoded; charset=utf-8"] {
        // C9, C10: everything in the body, the checksum too.
        let body = form.clone() + "&meetingID=room";
        let request = http().post(format!("{}/create", world.gateway.api()));
        let answer = fetch(request.header("Content-Type", content_type).body(body)).await;
        answer.assert_success();
    }
    let call = &world.sims[0].calls_of("create")[0];
    assert_eq!((call.method.as_str(), call.body.len()), ("GET", 0));
    assert!(call.target.contains("name=n+n&meetingID=room&checksum="), "{}", call.target);
}

#[tokio::test]
async fn c11_query_and_form_together_and_no_parameter_in_both() {
    let world = World::start(1).await;
    let post = |form: &'static str| world.gateway.post("create", "meetingID=room", FORM, form);
    post("name=nn").await.assert_success();
    assert!(only_call(&world, "create").target.contains("meetingID=room&name=nn"));
    post("name=nn&meetingID=other").await.assert_failed("checksumError");
    post("name=nn&checksum=0").await.assert_failed("checksumError");
    assert_eq!(world.sims[0].call_count("create"), 1);
}

#[tokio::test]
async fn forms_of_any_size_up_to_the_limit_arrive_whole() {
    let world = roomy(2).await;
    for (n, bytes) in [100, 7_900, 60_000, 65_536, 70_000, 1_000_000, 2_000_000].iter().enumerate()
    {
        let form = format!("name=nn&meetingID=room{n}&welcome={}", "ö".repeat(bytes / 2));
        let answer = world.gateway.post("create", "", FORM, form.clone()).await;
        answer.assert_success();
        let sim = world.server_of(&format!("room{n}"));
        let call = &sim.calls_of("create").pop().unwrap();
        if call.method == "POST" {
            let arrived = std::str::from_utf8(&call.body).unwrap();
            let welcome = query::first(arrived, "welcome").unwrap();
            assert_eq!(welcome.chars().count(), bytes / 2);
        }
        assert_eq!(call.checksum, Some(true));
    }
    let too_large = format!("name=nn&meetingID=x&welcome={}", "x".repeat(8 * 1024 * 1024));
    let answer = world.gateway.post("create", "", FORM, too_large).await;
    answer.assert_failed("requestTooLarge");
}

#[tokio::test]
async fn a_large_form_is_sent_again_to_the_next_server() {
    let world = roomy(3).await;
    world.sims[0].stop().await;
    world.sims[1].set_fault(Fault::ResetBefore, Some("create"));
    world.sims[1].set_fault(Fault::Status(500), Some("getMeetingInfo"));
    world.sims[1].clear_faults();
    world.sims[1].set_fault_once(Fault::ResetBefore, Some("create"));
    let form = format!("name=nn&meetingID=room&welcome={}", "x".repeat(300_000));
    world.gateway.post("create", "", FORM, form).await.assert_success();
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn fields_of_a_multipart_body_are_parameters() {
    let world = World::start(1).await;
    let part = |name: &str, value: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = part("name", "Größe & Co") + &part("meetingID", "room") + "--XX--\r\n";
    let kind = "multipart/form-data; boundary=XX";
    world.gateway.post("create", "", kind, body).await.assert_success();
    assert_eq!(world.sims[0].meeting("room").unwrap().name, "Größe & Co");
    let broken = world.gateway.post("create", "", kind, part("meetingID", "other")).await;
    broken.assert_failed("requestIncomplete");
    let no_boundary = world.gateway.post("end", "", "multipart/form-data", "x").await;
    no_boundary.assert_failed("unsupportedContentType");
}

#[tokio::test]
async fn cr18_an_xml_body_arrives_byte_for_byte() {
    let world = roomy(1).await;
    let cases = [
        ("text/xml", SLIDES.to_owned()),
        ("application/xml; charset=UTF-8", large_slides(2_500_000)),
    ];
    for (n, (kind, slides)) in cases.into_iter().enumerate() {
        let query = format!("meetingID=room{n}&name=nn");
        world.gateway.post("create", &query, kind, slides.clone()).await.assert_success();
        let call = world.sims[0].calls_of("create").pop().unwrap();
        assert_eq!(call.body, slides.as_bytes());
        assert_eq!(call.header("content-type"), Some("application/xml"));
        assert!(call.target.contains(&format!("{query}&checksum=")));
    }
}

#[tokio::test]
async fn m6_slides_and_text_tracks_may_be_large_and_chunked() {
    let world = roomy(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let slides = large_slides(7_000_000);
    let chunks = slides.as_bytes().chunks(50_000).map(|c| Ok::<_, std::io::Error>(c.to_vec()));
    let body = reqwest::Body::wrap_stream(stream::iter(chunks.collect::<Vec<_>>()));
    let answer = world.gateway.post("insertDocument", "meetingID=room", XML, body).await;
    answer.assert_success();
    let call = only_call(&world, "insertDocument");
    assert_eq!(call.body, slides.as_bytes());
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_in_xml_however_it_comes() {
    let world = roomy(1).await;
    let too_large = large_slides(9_000_000);
    let query = "meetingID=room&name=nn";
    let answer = world.gateway.post("create", query, XML, too_large.clone()).await;
    answer.assert_failed("requestTooLarge");
    let chunks: Vec<_> =
        too_large.as_bytes().chunks(50_000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(stream::iter(chunks));
    let answer = world.gateway.post("create", query, XML, body).await;
    answer.assert_failed("requestTooLarge");
    assert_eq!(world.copies("room"), 0);
    let form = format!("name={}", "x".repeat(1024 * 1024));
    let answer = world.gateway.post("end", "meetingID=room", FORM, form).await;
    answer.assert_failed("requestTooLarge");
    // Nothing stays behind: the same create of a sensible size works at once.
    world.gateway.post("create", query, XML, SLIDES).await.assert_success();
}

#[tokio::test]
async fn limits_are_as_configured() {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.limits.documents_bytes = 1000;
    let gateway = Gateway::start(settings).await;
    let answer = gateway.post("create", "meetingID=m&name=nn", XML, large_slides(1000)).await;
    answer.assert_failed("requestTooLarge");
    let chunked =
        reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(large_slides(2000))]));
    let answer = gateway.post("create", "meetingID=m&name=nn", XML, chunked).await;
    answer.assert_failed("requestTooLarge");
    assert!(answer.text("message").contains("1000 bytes"));
    assert!(sims[0].meeting("m").is_none());
}

#[tokio::test]
async fn a_create_with_slides_goes_on_when_a_server_refuses_the_connection() {
    let world = roomy(3).await;
    world.sims[0].stop().await;
    world.sims[1].stop().await;
    let slides = large_slides(2 * 1024 * 1024);
    let answer = world.gateway.post("create", "meetingID=room&name=nn", XML, slides.clone()).await;
    answer.assert_success();
    assert_eq!(world.sims[2].calls_of("create")[0].body, slides.as_bytes());
    // Later slides meet no connection that their server may have closed meanwhile: they could not be sent again.
    let answer = world.gateway.post("insertDocument", "meetingID=room", XML, slides.clone()).await;
    answer.assert_success();
    let sent = &world.sims[2].calls_of("insertDocument")[0];
    assert_eq!((sent.header("connection"), &sent.body[..]), (Some("close"), slides.as_bytes()));
}

/// Slides of up to 64 KiB are kept and sent again; larger ones are not, and the client is told.
#[tokio::test]
async fn slides_are_sent_again_while_they_are_still_there() {
    for (bytes, again) in [(10_000, true), (500_000, false)] {
        let world = roomy(1).await;
        world.sims[0].set_fault_once(Fault::ResetBefore, Some("create"));
        let query = "meetingID=room&name=nn";
        let answer = world.gateway.post("create", query, XML, large_slides(bytes)).await;
        if again {
            answer.assert_success();
        } else {
            answer.assert_failed("internalError");
            world.gateway.post("create", query, XML, large_slides(bytes)).await.assert_success();
        }
        assert_eq!(world.copies("room"), 1);
    }
}

#[tokio::test]
async fn m6_who_waits_to_send_is_told_at_once() {
    let world = World::start(1).await;
    let head = |query: &str| {
        format!(
            "POST /bigbluebutton/api/create?{query} HTTP/1.1\r\nHost: lb\r\nContent-Type: application/xml\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            SLIDES.len()
        )
    };
    let mut stream = TcpStream::connect(world.gateway.address).await.unwrap();
    let signed = signed("create", "meetingID=room&name=nn");
    stream.write_all(head(&signed).as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    let reading = stream.read_exact(&mut interim);
    tokio::time::timeout(Duration::from_millis(900), reading).await.unwrap().unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(SLIDES.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("<returncode>SUCCESS"), "{answer}");
    assert_eq!(only_call(&world, "create").body, SLIDES.as_bytes());
    // Whoever has no right to send it is not asked to.
    let refused = raw(world.gateway.address, head("meetingID=room&checksum=00").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 200") && refused.contains("checksumError"), "{refused}");
}

/// littleredbutton counts characters where it should count bytes (clients.md 3.2).
#[tokio::test]
async fn a_body_announced_too_short_is_cut_and_its_rest_is_no_request() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let smuggled = format!(
        "GET /bigbluebutton/api/end?{} HTTP/1.1\r\nHost: lb\r\n\r\n",
        signed("end", "meetingID=room")
    );
    for (kind, body) in [("application/xml", SLIDES), (FORM, "name=nn")] {
        let request = format!(
            "POST /bigbluebutton/api/create?{} HTTP/1.1\r\nHost: lb\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{body}{smuggled}",
            signed("create", "meetingID=room"),
            body.len() - 1,
        );
        let answer = raw(world.gateway.address, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(answer.contains("</response>"), "{answer}");
    }
    assert_eq!(world.sims[0].call_count("end"), 0);
}

/// C12, M7: PHP sends a Content-Type on every GET, and some send even more.
#[tokio::test]
async fn a_body_on_a_get_counts_for_nothing() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let get = |query: &str, more: &str| {
        format!("GET /bigbluebutton/api/getMeetingInfo?{query} HTTP/1.1\r\nHost: lb\r\n{more}")
    };
    let info = signed("getMeetingInfo", "meetingID=room");
    let kind = "Content-Type: application/json\r\n";
    for (query, more, expected) in [
        (info.as_str(), format!("{kind}Connection: close\r\n\r\n"), "SUCCESS"),
        (&info, format!("{kind}Content-Length: 4\r\n\r\na=b&"), "SUCCESS"),
        // Announced and never sent: nobody waits for it.
        (&info, format!("{kind}Content-Length: 4000\r\n\r\n"), "SUCCESS"),
        (
            &info,
            format!("{kind}Transfer-Encoding: chunked\r\n\r\n4\r\na=b&\r\n0\r\n\r\n"),
            "SUCCESS",
        ),
        (
            "",
            format!("Content-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{info}", info.len()),
            "checksumError",
        ),
    ] {
        let asked = ask(world.gateway.address, &get(query, &more));
        let answer = tokio::time::timeout(Duration::from_secs(6), asked).await.unwrap();
        assert!(answer.text().contains(expected), "{more}: {}", answer.text());
    }
    for call in world.sims[0].calls_of("getMeetingInfo") {
        assert_eq!((call.body.len(), call.header("content-type")), (0, None));
        assert_eq!(call.header("content-length"), None);
    }
}

#[tokio::test]
async fn s31_text_tracks_are_streamed_to_the_recordings_server() {
    let world = roomy(2).await;
    let recording = sim::Recording::of("room", 1_700_000_000_000);
    let id = world.sims[1].add_recording(recording);
    let vtt = "WEBVTT\n".repeat(1_500_000);
    let body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{vtt}\r\n--XX--\r\n"
    );
    let query = format!("recordID={id}&kind=subtitles&lang=en&label=English");
    let kind = "multipart/form-data; boundary=XX";
    let answer = world.gateway.post("putRecordingTextTrack", &query, kind, body.clone()).await;
    assert!(answer.body.contains("upload_text_track_success"), "{answer:?}");
    assert_eq!(world.sims[1].calls_of("putRecordingTextTrack")[0].body, body.as_bytes());
}

#[tokio::test]
async fn chunks_that_make_no_sense_are_told_so() {
    let world = World::start(1).await;
    for (kind, query, key) in [
        (XML, signed("create", "meetingID=room&name=nn"), "requestIncomplete"),
        (FORM, signed("create", "meetingID=room&name=nn"), "requestIncomplete"),
    ] {
        let request = format!(
            "POST /bigbluebutton/api/create?{query} HTTP/1.1\r\nHost: lb\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"
        );
        let answer = ask(world.gateway.address, &request).await;
        assert!(answer.text().contains(key), "{kind}: {}", answer.text());
    }
    // The meeting was not made, and can be.
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
}

/// Anybody can send a form. Ten thousand parameters are Tomcat's bound, too.
#[tokio::test]
async fn a_form_of_countless_parameters_is_refused() {
    let world = World::start(1).await;
    let form = format!("name=nn{}", "&a=1".repeat(10_001));
    let answer = world.gateway.post("create", "meetingID=room", FORM, form).await;
    answer.assert_failed("malformedRequest");
    let form = format!("name=nn{}", "&a=1".repeat(9_000));
    world.gateway.post("create", "meetingID=room", FORM, form).await.assert_success();
}

/// A client that sends half a body and waits: nothing is kept waiting but its own connection, and a body that
/// ends early is told as such.
#[tokio::test]
async fn half_a_body_holds_up_nobody_else() {
    let world = World::start(1).await;
    let form = format!("meetingID=room&name=nn&{}", signed("create", ""));
    let head = format!(
        "POST /bigbluebutton/api/create HTTP/1.1\r\nHost: lb\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{}",
        form.len(),
        &form[..20],
    );
    let mut stuck = TcpStream::connect(world.gateway.address).await.unwrap();
    stuck.write_all(head.as_bytes()).await.unwrap();
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    stuck.shutdown().await.unwrap();
    let mut answer = String::new();
    let reading = stuck.read_to_string(&mut answer);
    tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
    assert!(answer.contains("requestIncomplete"), "{answer}");
    wait_for("one create", || world.sims[0].call_count("create") == 1).await;
}
