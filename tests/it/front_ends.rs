//! What front ends really send, byte for byte with their own header lines and encodings (`clients.md` 1, 4, 8), and
//! what each of them has to find in the answers. Nothing here is built by an HTTP client that could be kinder.

use sha1::Digest;

use crate::harness::{RawAnswer, SECRET, World, ask, signed};

/// curl as Moodle sets it up.
const MOODLE: &str =
    "User-Agent: MoodleBot/1.0\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip, br\r\n";
/// Ruby's Net::HTTP under Greenlight's gem.
const GREENLIGHT: &str = "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\nUser-Agent: Ruby\r\nConnection: close\r\n";
/// littleredbutton, under Nextcloud and PILOS.
const LITTLE_RED: &str = "Accept: */*\r\nAccept-Encoding: UTF-8\r\n";
/// bigbluebutton-api-php, which says on every GET what it would send in a body.
const PHP: &str = "Accept: */*\r\nAccept-Encoding: UTF-8\r\nContent-Type: application/xml\r\n";
/// Python's requests, under Zulip.
const ZULIP: &str =
    "User-Agent: ZulipServer/9.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n";
/// urllib, under the Python library.
const PYTHON: &str =
    "Accept-Encoding: identity\r\nUser-Agent: Python-urllib/3.11\r\nConnection: close\r\n";
/// Firefox, following a link to a join.
const BROWSER: &str = "User-Agent: Mozilla/5.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nUpgrade-Insecure-Requests: 1\r\n";

fn sha1(text: &str) -> String {
    hex::encode(sha1::Sha1::digest(text))
}

/// `call?query` and the checksum at its end, as all of them but PHP sign by default.
fn by_sha1(call: &str, query: &str) -> String {
    let sum = sha1(&format!("{call}{query}{SECRET}"));
    format!("{call}?{query}&checksum={sum}")
}

/// A GET of what stands behind `/bigbluebutton/api`, with these header lines.
async fn get(world: &World, target: &str, lines: &str) -> RawAnswer {
    let close = if lines.contains("Connection:") { "" } else { "Connection: close\r\n" };
    let request = format!(
        "GET /bigbluebutton/api{target} HTTP/1.1\r\nHost: lb.example\r\n{lines}{close}\r\n"
    );
    let answer = ask(world.gateway.address, &request).await;
    // littleredbutton throws on a header line without its blank (M9), PHP on a session cookie (3.1).
    assert!(answer.lines.iter().all(|line| line.contains(": ")), "{:?}", answer.lines);
    assert_eq!(answer.header("set-cookie"), "");
    answer
}

/// The text of the first element `name`.
fn element<'t>(text: &'t str, name: &str) -> &'t str {
    let rest = text.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    rest.split_once("</").map_or("", |(text, _)| text)
}

#[track_caller]
fn assert_success(answer: &RawAnswer) {
    assert_eq!(answer.status, 200);
    assert_eq!(element(&answer.text(), "returncode"), "SUCCESS", "{}", answer.text());
}

/// What the one server got of `call`: by GET, signed by its own secret, and of the query each byte.
#[track_caller]
fn assert_arrived(world: &World, call: &str, query: &str) {
    let sent = world.sims[0].calls_of(call).pop().unwrap();
    assert_eq!((sent.method.as_str(), sent.checksum), ("GET", Some(true)));
    let (before, _) = sent.query().rsplit_once("&checksum=").unwrap();
    assert_eq!(before, query);
}

/// M2, M4: every form in which the version is asked for, one of them signed with an empty secret.
#[tokio::test]
async fn m2_and_m4_every_front_end_finds_the_version() {
    let world = World::start(1).await;
    for (target, lines) in [
        ("", GREENLIGHT),
        ("/", GREENLIGHT),
        (&*format!("/?&checksum={}", sha1(SECRET)), MOODLE),
        (&*format!("/?checksum={}", sha1("")), LITTLE_RED),
        (&*format!("/?checksum={}", sha1(SECRET)), PYTHON),
        ("/?&checksum=0", PHP),
    ] {
        let answer = get(&world, target, lines).await;
        assert_success(&answer);
        assert_eq!(element(&answer.text(), "version"), "2.0", "{target}");
        assert!(answer.header("content-type").starts_with("text/xml"));
    }
    // Calls without parameters put the checksum behind an empty one.
    for lines in [MOODLE, PHP] {
        let sum = sha1(&format!("getMeetings{SECRET}"));
        let answer = get(&world, &format!("/getMeetings?&checksum={sum}"), lines).await;
        assert_success(&answer);
        assert_eq!(element(&answer.text(), "messageKey"), "noMeetings");
    }
}

/// M11, M14, M18: Moodle asks, makes, asks again at once, and sends its people with the createTime it read.
#[tokio::test]
async fn m11_m14_and_m18_a_class_in_moodle() {
    let world = World::start(1).await;
    let id = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c-2-5%5B7%5D";
    let info = format!("/{}", by_sha1("getMeetingInfo", &format!("meetingID={id}")));
    let answer = get(&world, &info, MOODLE).await;
    assert_eq!(element(&answer.text(), "messageKey"), "notFound");
    let create = format!(
        "meetingID={id}&name=A+b%2Bc%27s+%28x%29%2A%7E%C3%A9&attendeePW=vp&moderatorPW=mp&\
         logoutURL=https%3A%2F%2Flms.example%2Fbbb_view.php%3Faction%3Dlogout%26id%3D5&record=true&\
         muteOnStart=true&welcome=%3Cbr%3EHello%0D%0Ayou&meta_bbb-origin=Moodle&\
         meta_bbb-origin-version=4.5+%28Build%3A+20241007%29&meta_bbb-origin-server-name=&\
         meta_bbb-recording-tags=&meta_bbb-recording-description=&\
         meta_bn-recording-status=%7B%22email%22%3Atrue%7D&\
         meta_bn-recording-ready-url=https%3A%2F%2Flms.example%2Fbbb_broker.php%3Faction%3Drecording_ready%26bigbluebuttonbn%3D5"
    );
    let answer = get(&world, &format!("/{}", by_sha1("create", &create)), MOODLE).await;
    assert_success(&answer);
    assert_arrived(&world, "create", &create);
    let answer = get(&world, &info, MOODLE).await;
    assert_success(&answer);
    let text = answer.text();
    let join = format!(
        "meetingID={id}&fullName=O%27Neil+%C3%84%7E&password=mp&\
         logoutURL=https%3A%2F%2Flms.example%2F&role=MODERATOR&userID=17&createTime={}",
        element(&text, "createTime")
    );
    let answer = get(&world, &format!("/{}", by_sha1("join", &join)), BROWSER).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let start = format!("{}/join?{join}&checksum=", world.sims[0].url());
    assert!(answer.header("location").starts_with(&start), "{}", answer.header("location"));
}

/// M12, M15, M17, C21: two slashes, sorted names, no passwords in create, an empty one in join, and a role with
/// one capital.
#[tokio::test]
async fn m12_m15_and_m17_a_room_in_greenlight() {
    let world = World::start(1).await;
    let health = format!("/{}", by_sha1("isMeetingRunning", "meetingID=0"));
    let answer = get(&world, &health, GREENLIGHT).await;
    assert_success(&answer);
    assert_eq!(element(&answer.text(), "running"), "false");
    assert_eq!(world.sims[0].call_count("isMeetingRunning"), 0);
    let create = "guestPolicy=ALWAYS_ACCEPT&loginURL=https%3A%2F%2Fgl.example%2Frooms%2Fa-b\
        &logoutURL=https%3A%2F%2Fgl.example%2Frooms%2Fa-b&meetingID=abcdefghijklmnopqrstuvwxyz0123456789abcd\
        &meetingLayout=CUSTOM_LAYOUT&meta_bbb-context-id=a-b&meta_bbb-context-name=Room+*%7E\
        &meta_bbb-origin=greenlight&meta_endCallbackUrl=https%3A%2F%2Fgl.example%2Fmeeting_ended\
        &moderatorOnlyMessage=Share%3Cbr%3Ethis&muteOnStart=true&name=Room+*%7E&record=true";
    let target = format!("//{}", by_sha1("create", create));
    let first = get(&world, &target, GREENLIGHT).await;
    assert_success(&first);
    assert_arrived(&world, "create", create);
    // Tried again, as it is after ten seconds: the same meeting.
    let again = get(&world, &target, GREENLIGHT).await;
    assert_success(&again);
    let made = |answer: &RawAnswer| element(&answer.text(), "createTime").to_owned();
    assert_eq!(made(&first), made(&again));
    let join = format!(
        "avatarURL=https%3A%2F%2Fgl.example%2Fa.png&createTime={}&fullName=Ada+L*&\
         meetingID=abcdefghijklmnopqrstuvwxyz0123456789abcd&password=&role=Moderator&userID=gl-17",
        made(&first)
    );
    let answer = get(&world, &format!("//{}", by_sha1("join", &join)), BROWSER).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location");
    assert!(location.contains("&password=&role=Moderator&userID=gl-17&checksum="), "{location}");
}

/// M5, M8 and the end callback's MAC in its path: Nextcloud creates on every join, and sends a page of CSS.
#[tokio::test]
async fn m5_and_m8_a_room_in_nextcloud() {
    let world = World::start(1).await;
    let check = format!("/{}", by_sha1("isMeetingRunning", "meetingID=foobar"));
    assert_success(&get(&world, &check, LITTLE_RED).await);
    let wrong = get(&world, "/isMeetingRunning?meetingID=foobar&checksum=0", LITTLE_RED).await;
    assert_eq!(wrong.status, 200);
    assert_eq!(element(&wrong.text(), "messageKey"), "checksumError");
    let create = "name=A%20b%2Bc%27s%20%28x%29%2A~%C3%A9&meetingID=Xy7&attendeePW=ap&moderatorPW=mp\
        &meta_endCallbackUrl=https%3A%2F%2Fcloud.example%2Fapps%2Fbbb%2Fhook%2Fended%2Ftoken%2F%242y%2410%24a\
        &meta_bbb-recording-ready-url=https%3A%2F%2Fcloud.example%2Fapps%2Fbbb%2Fhook%2Frecording%2Ftoken%2Fmac";
    let target = format!("/{}", by_sha1("create", create));
    assert_success(&get(&world, &target, LITTLE_RED).await);
    assert_arrived(&world, "create", create);
    let again = get(&world, &target, LITTLE_RED).await;
    assert_eq!(element(&again.text(), "messageKey"), "duplicateWarning");
    // Its Accept-Encoding names no encoding that there is.
    assert_eq!(again.header("content-encoding"), "");
    let css = "%3Aroot%7B--color-primary%3A%230082c9%7D".repeat(60);
    let join = format!(
        "meetingID=Xy7&fullName=Ada%20L&password=mp&joinViaHtml5=true&redirect=true&guest=false&userID=ada\
         &userdata-bbb_custom_style={css}"
    );
    let answer = get(&world, &format!("/{}", by_sha1("join", &join)), BROWSER).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(answer.header("location").contains(&css));
}

/// M6, M19: PILOS asks for everything every minute; its slides carry umlauts and are announced too short.
#[tokio::test]
async fn m6_and_m19_a_room_in_pilos() {
    let world = World::start(1).await;
    let create = "meetingID=pilos-1&name=Gr%C3%B6%C3%9Fe&guestPolicy=ALWAYS_ACCEPT&record=false\
        &meta_pilos-sub-spool-dir=a%2Fb&meta_endCallbackUrl=https%3A%2F%2Fpilos.example%2Fend%3Fsalt%3D%242y%2410%242F";
    assert_success(&get(&world, &format!("/{}", by_sha1("create", create)), LITTLE_RED).await);
    assert_arrived(&world, "create", create);
    let sum = sha1(&format!("getMeetings{SECRET}"));
    let list = get(&world, &format!("/getMeetings?checksum={sum}"), LITTLE_RED).await;
    assert_success(&list);
    assert_eq!(element(&list.text(), "meetingID"), "pilos-1");
    let body = "<modules><module name=\"presentation\"><document name=\"Größe.pdf\">QQ==</document></module></modules>";
    let request = format!(
        "POST /bigbluebutton/api/{} HTTP/1.1\r\nHost: lb\r\n{LITTLE_RED}Content-Type: application/xml\r\n\
         Content-length: {}\r\n\r\n{body}",
        by_sha1("insertDocument", "meetingID=pilos-1"),
        body.chars().count()
    );
    let answer = ask(world.gateway.address, &request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("<response>"), "{}", answer.text());
    let end = format!("/{}", by_sha1("end", "meetingID=pilos-1"));
    assert_success(&get(&world, &end, LITTLE_RED).await);
}

/// S31, M7, M20: PHP, sha256, and a Content-Type of JSON on a GET that is answered in JSON; Python, with empty parameters.
#[tokio::test]
async fn m7_and_m20_libraries_as_programs_use_them() {
    let world = World::start(1).await;
    let create = "meetingID=php-1&name=A+b%2Bc%27s+%28x%29%2A~%C3%A9";
    let target = format!("/create?{}", signed("create", create));
    assert_success(&get(&world, &target, PHP).await);
    assert_arrived(&world, "create", create);
    assert_eq!(world.sims[0].calls_of("create")[0].header("content-type"), None);
    let json = PHP.replace("xml", "json");
    let tracks =
        format!("/getRecordingTextTracks?{}", signed("getRecordingTextTracks", "recordID=x-1"));
    let answer = get(&world, &tracks, &json).await;
    assert!(answer.header("content-type").starts_with("application/json"));
    assert!(answer.text().starts_with("{\"response\":{"), "{}", answer.text());
    let none = format!("/{}", by_sha1("getRecordings", "meetingID=&recordID="));
    let answer = get(&world, &none, PYTHON).await;
    assert_success(&answer);
    assert_eq!(element(&answer.text(), "messageKey"), "noRecordings");
    assert!(answer.text().contains("<message>"));
}

/// M12, M13: Zulip makes the meeting for each one who joins, at the same moment if need be, fails without a
/// messageKey element, and sends everybody on with the createTime it reads.
#[tokio::test]
async fn m12_and_m13_a_call_in_zulip() {
    let world = World::start(2).await;
    let create = "meetingID=zulip-123456789012&name=A%20b%2Bc%27s%20%28x%29%2A~%C3%A9&lockSettingsDisableCam=False";
    let target = format!("/create?{}", signed("create", create));
    let (one, other) = tokio::join!(get(&world, &target, ZULIP), get(&world, &target, ZULIP));
    let third = get(&world, &target, ZULIP).await;
    let made = element(&one.text(), "createTime").to_owned();
    for answer in [&one, &other, &third] {
        assert_success(answer);
        assert!(answer.text().contains("<messageKey"), "{}", answer.text());
        assert_eq!(element(&answer.text(), "createTime"), made);
    }
    assert_eq!(world.copies("zulip-123456789012"), 1);
    let home = world.server_of("zulip-123456789012");
    for (role, name) in [("MODERATOR", "O%27Neil%20%C3%84"), ("VIEWER", "Ada%20%28L%29")] {
        let join =
            format!("meetingID=zulip-123456789012&role={role}&fullName={name}&createTime={made}");
        let answer = get(&world, &format!("/join?{}", signed("join", &join)), BROWSER).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        let start = format!("{}/join?{join}&checksum=", home.url());
        assert!(answer.header("location").starts_with(&start), "{}", answer.header("location"));
    }
}
