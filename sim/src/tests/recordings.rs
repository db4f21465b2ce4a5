//! Recordings, text tracks and hooks over the wire.

use crate::tests::{exchange, get, quick, target};
use crate::{Recording, RecordingState, Sim, SimConfig};

async fn with_recordings() -> Sim {
    let sim = quick().await;
    for (meeting, start) in [("m1", 1_000), ("m1", 2_000), ("m2", 3_000)] {
        let mut recording = Recording::of(meeting, start);
        recording.meta.insert("course".to_owned(), format!("c-{start}"));
        sim.add_recording(recording);
    }
    sim
}

fn ids_of(body: &str) -> usize {
    body.matches("<recordID>").count()
}

#[tokio::test]
async fn recordings_are_selected_by_many_things() {
    let sim = with_recordings().await;
    let first = Recording::of("m1", 1_000).record_id;
    let cases = [
        (String::new(), 3),
        ("meetingID=m1".to_owned(), 2),
        ("meetingID=m1%2Cm2".to_owned(), 3),
        ("meetingID=m1%252Cm2".to_owned(), 3),
        (format!("recordID={first}"), 1),
        (format!("recordID={}", &first[..40]), 2),
        ("recordID=zz&meetingID=m1".to_owned(), 0),
        ("meta_course=c-1000".to_owned(), 1),
        ("meta_course=c-%25".to_owned(), 3),
        ("state=unpublished".to_owned(), 0),
        ("state=any".to_owned(), 3),
        ("limit=2".to_owned(), 2),
        ("limit=2&offset=2".to_owned(), 1),
    ];
    for (query, expected) in cases {
        let answer = get(&sim, "getRecordings", &query).await;
        assert_eq!(ids_of(&answer.body), expected, "{query}");
    }
    get(&sim, "getRecordings", "limit=1").await.expect("totalElements", "3");
    get(&sim, "getRecordings", "meetingID=m9").await.expect("messageKey", "noRecordings");
}

#[tokio::test]
async fn recordings_change_state_and_metadata() {
    let sim = with_recordings().await;
    let first = Recording::of("m1", 1_000).record_id;
    let state = |sim: &Sim| {
        sim.recordings().into_iter().find(|one| one.record_id == first).map(|one| one.state)
    };
    let query = format!("recordID={first},nobody&publish=false");
    get(&sim, "publishRecordings", &query).await.expect("published", "false");
    assert_eq!(state(&sim), Some(RecordingState::Unpublished));
    let query = format!("recordID={}&meta_course=&meta_New=1", &first[..40]);
    get(&sim, "updateRecordings", &query).await.expect("updated", "true");
    let answer = get(&sim, "getRecordings", &format!("recordID={first}")).await;
    answer.expect("new", "1");
    assert_eq!(answer.element("course"), None);
    get(&sim, "deleteRecordings", &format!("recordID={first}")).await.expect("deleted", "true");
    assert_eq!(state(&sim), Some(RecordingState::Deleted));
    for (call, query, key) in [
        ("deleteRecordings", format!("recordID={first}"), "notFound"),
        ("deleteRecordings", String::new(), "missingParamRecordID"),
        ("publishRecordings", "publish=true".to_owned(), "missingParamRecordID"),
        ("publishRecordings", "recordID=x".to_owned(), "missingParamPublish"),
        ("getRecordingTextTracks", String::new(), "missingParamRecordID"),
    ] {
        get(&sim, call, &query).await.expect("messageKey", key);
    }
}

#[tokio::test]
async fn not_every_server_lists_everything() {
    let config = SimConfig { allow_fetch_all_recordings: false, ..SimConfig::default() };
    let sim = Sim::start(config).await.unwrap();
    let answer = get(&sim, "getRecordings", "").await;
    assert!(answer.element("message").unwrap().contains("attempt to retrieve all"));
}

#[tokio::test]
async fn recording_calls_have_their_own_checksum_message() {
    let sim = quick().await;
    let target = "/bigbluebutton/api/getRecordings";
    let answer = exchange(sim.address(), "GET", target, "", "").await.unwrap();
    answer.expect("message", "You did not pass the checksum security check");
}

#[tokio::test]
async fn text_tracks_speak_json() {
    let sim = with_recordings().await;
    let id = Recording::of("m1", 1_000).record_id;
    let none = get(&sim, "getRecordingTextTracks", &format!("recordID={id}")).await;
    assert!(none.body.contains("noCaptionsFound"), "{none:?}");
    let query = format!("recordID={id}&kind=subtitles&lang=en-US&label=English");
    let put = target(&sim, "putRecordingTextTrack", &query);
    let kind = "Content-Type: multipart/form-data; boundary=x\r\n";
    let part = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\nWEBVTT\r\n--x--\r\n";
    let answer = exchange(sim.address(), "POST", &put, kind, part).await.unwrap();
    assert!(answer.body.contains("upload_text_track_success"), "{answer:?}");
    let tracks = get(&sim, "getRecordingTextTracks", &format!("recordID={id}")).await;
    assert!(tracks.body.contains("\"label\":\"English\""), "{tracks:?}");
    assert_eq!(tracks.header("content-type"), Some("application/json;charset=UTF-8"));
    let unsigned = "/bigbluebutton/api/putRecordingTextTrack";
    let refused = exchange(sim.address(), "POST", unsigned, "", "").await.unwrap();
    assert!(refused.body.contains("paramError"), "{refused:?}");
}

#[tokio::test]
async fn hooks_are_registered_once_per_url() {
    let sim = quick().await;
    let create = "callbackURL=http%3A%2F%2Fx%2Fcb&meetingID=m1&eventID=User-Joined";
    let first = get(&sim, "hooks/create", create).await;
    assert_eq!(first.header("content-type"), Some("text/xml"));
    let id = first.element("hookID").unwrap().to_owned();
    let again = get(&sim, "hooks/create", "callbackURL=http%3A%2F%2Fx%2Fcb").await;
    again.expect("hookID", &id);
    again.expect("messageKey", "duplicateWarning");
    let list = get(&sim, "hooks/list", "").await;
    list.expect("callbackURL", "<![CDATA[http://x/cb]]>");
    list.expect("eventID", "user-joined");
    assert_eq!(get(&sim, "hooks/list", "meetingID=m2").await.element("hookID"), None);
    let destroy = format!("hookID={id}");
    get(&sim, "hooks/destroy", &destroy).await.expect("removed", "true");
    get(&sim, "hooks/destroy", &destroy).await.expect("messageKey", "destroyMissingHook");
    let unsigned = "/bigbluebutton/api/hooks/list";
    let refused = exchange(sim.address(), "GET", unsigned, "", "").await.unwrap();
    refused.expect("message", "You did not pass the checksum security check.");
    let ping = "/bigbluebutton/api/hooks/ping";
    assert_eq!(exchange(sim.address(), "GET", ping, "", "").await.unwrap().status, 200);
}
