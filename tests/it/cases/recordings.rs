//! getRecordings, publishRecordings, deleteRecordings, updateRecordings

use sim::{Fault, RecordingState};

use crate::cases::Ask::{Form, Get, Plain, Post};
use crate::cases::Given::{AllDown, FirstFails, Nothing, Recordings as Some_};
use crate::cases::Told::{Failed, Ok, Recordings, That};
use crate::cases::{Case, FORM, Seen, check, record_id};
use crate::harness::World;

const NO_ID: crate::cases::Told = Failed("missingParamRecordID", "You must specify a recordID.");
const UNKNOWN: crate::cases::Told = Failed("notFound", "We could not find recordings");
const NO_CALL: crate::cases::Told = Failed("unsupportedRequest", "This request is not supported.");
const UNSIGNED: crate::cases::Told =
    Failed("checksumError", "You did not pass the checksum security check");

#[rustfmt::skip]
const LIST: &[Case] = &[
    ("CK1", Some_, Plain("GET", "/bigbluebutton/api/getRecordings"), UNSIGNED),
    ("CK2", Some_, Plain("GET", "/bigbluebutton/api/getRecordings?checksum=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), UNSIGNED),
    ("GR1 clients M22: those that cannot be played are left out", Some_, Get("getRecordings", ""), Recordings(&["r1", "u1", "r2", "r3"])),
    ("GR1 POST", Some_, Form("getRecordings", "a=1"), Recordings(&["r1", "u1", "r2", "r3"])),
    ("clients 6: empty parameters are absent", Some_, Get("getRecordings", "meetingID=&recordID="), Recordings(&["r1", "u1", "r2", "r3"])),
    ("GR3", Some_, Get("getRecordings", "meetingID=meeting+of+r3"), That(|seen| {
        seen.judge(&Recordings(&["r3"]));
        for (name, text) in [("internalMeetingID", record_id("r3").as_str()), ("name", "r3"), ("published", "true"), ("state", "published"), ("participants", "3")] {
            assert_eq!(seen.answer.text(name), text, "{name}");
        }
        assert_eq!(seen.texts("type"), ["podcast", "presentation"]);
    })),
    ("GR4 R10", Some_, Get("getRecordings", "meetingID=meeting+of+r1,meeting+of+r2"), Recordings(&["r1", "r2"])),
    ("GR4: an escaped comma", Some_, Get("getRecordings", "meetingID=meeting+of+r1%2Cmeeting+of+r2"), Recordings(&["r1", "r2"])),
    ("GR5", Some_, Get("getRecordings", "recordID=ABCDEF0123456789ABCDEF0123456789ABCDEF01-1700000000000"), Recordings(&[])),
    ("GR6 R10: a prefix", Some_, Get("getRecordings", "recordID={~r1}"), Recordings(&["r1"])),
    ("GR7", Some_, Get("getRecordings", "recordID={r2},{r1}"), Recordings(&["r1", "r2"])),
    ("clients 6: recordID wins", Some_, Get("getRecordings", "recordID={r2}&meetingID=meeting+of+r1"), Recordings(&["r2"])),
    ("clients 6: unknown IDs are no error", Some_, Get("getRecordings", "recordID={r2},unknown"), Recordings(&["r2"])),
    ("GR8 GR9 R8", Some_, Get("getRecordings", "recordID={r1},{u1},{d1},{p1}&state=published,unpublished"), Recordings(&["r1", "u1"])),
    ("R8 unpublished", Some_, Get("getRecordings", "state=unpublished"), Recordings(&["u1"])),
    ("R8 any", Some_, Get("getRecordings", "recordID={r1},{u1},{d1},{p1}&state=any"), That(|seen| {
        seen.answer.assert_success();
        assert_eq!(seen.texts("recordID").len(), 4);
    })),
    ("R9: who asks for processing gets it, clients M22 notwithstanding", Some_, Get("getRecordings", "state=processing"), Recordings(&["p1"])),
    ("GR10 R11: all metadata must match, as in BBB", Some_, Get("getRecordings", "meta_context=test1&meta_origin=GL"), Recordings(&["r2"])),
    ("GR10 R11: one", Some_, Get("getRecordings", "meta_origin=GL&state=published,deleted"), Recordings(&["d1", "r2", "r3"])),
    ("GR12", Some_, Get("getRecordings", "meta_origin=nowhere"), Recordings(&[])),
    ("clients M20", Nothing, Get("getRecordings", "meetingID=none"), That(|seen| {
        seen.judge(&Recordings(&[]));
        assert!(seen.answer.body.contains("<recordings></recordings>") || seen.answer.body.contains("<recordings/>"));
        assert_eq!(seen.answer.text("message"), "There are no recordings for the meeting(s).");
    })),
    ("clients 6: pages of what is merged", Some_, Get("getRecordings", "offset=1&limit=2"), That(|seen| {
        seen.judge(&Recordings(&["u1", "r2"]));
        assert_eq!(seen.answer.text("totalElements"), "4");
    })),
    ("clients 6: a server that fails makes the list a failure", FirstFails("getRecordings", Fault::Status(500)), Get("getRecordings", "meetingID=x"), Failed("internalError", "Unable to access server.")),
    ("clients 6: with no server up", AllDown, Get("getRecordings", ""), Failed("internalError", "Unable to access server.")),
    ("4.16: another type", Some_, Post("getRecordings", "", "application/xml", "<a/>"), Failed("unsupportedContentType", "")),
];

#[tokio::test]
async fn get_recordings() {
    check(LIST).await;
}

#[rustfmt::skip]
const PUBLISH: &[Case] = &[
    ("CK1", Some_, Plain("GET", "/bigbluebutton/api/publishRecordings"), UNSIGNED),
    ("PR1", Some_, Get("publishRecordings", "publish=true"), NO_ID),
    ("PR2", Some_, Get("publishRecordings", "recordID={r1}"), Failed("missingParamPublish", "You must specify a publish value true or false.")),
    ("PR3 R7", Some_, Get("publishRecordings", "recordID={r1}&publish=false"), That(|seen| {
        seen.judge(&Ok(&[("published", "false")]));
        assert_eq!(seen.recording("r1").state, RecordingState::Unpublished);
    })),
    ("PR4", Some_, Get("publishRecordings", "recordID={u1}&publish=true"), That(|seen| {
        seen.judge(&Ok(&[("published", "true")]));
        assert_eq!(seen.recording("u1").state, RecordingState::Published);
    })),
    ("PR5", Some_, Get("publishRecordings", "recordID=unknown&publish=true"), UNKNOWN),
    ("PR6", Some_, Post("publishRecordings", "recordID={r1}&publish=false", FORM, "a=1"), That(|seen| {
        seen.judge(&NO_CALL);
        assert_eq!(seen.recording("r1").state, RecordingState::Published);
    })),
    ("clients M21: on both servers", Some_, Get("publishRecordings", "recordID={r1},{r2},unknown&publish=false"), That(|seen| {
        seen.judge(&Ok(&[("published", "false")]));
        assert_eq!(["r1", "r2", "r3"].map(|name| seen.recording(name).published()), [false, false, true]);
    })),
];

#[tokio::test]
async fn publish_recordings() {
    check(PUBLISH).await;
}

#[rustfmt::skip]
const UPDATE: &[Case] = &[
    ("CK1", Some_, Plain("GET", "/bigbluebutton/api/updateRecordings"), UNSIGNED),
    ("UP1", Some_, Get("updateRecordings", "meta_a=1"), NO_ID),
    ("UP2 R12", Some_, Get("updateRecordings", "recordID={r1}&meta_newparam=newvalue"), That(|seen| {
        updated(seen);
        assert_eq!(seen.recording("r1").meta.get("newparam").map(String::as_str), Some("newvalue"));
        assert_eq!(seen.recording("r1").meta.len(), 3);
    })),
    ("UP3", Some_, Get("updateRecordings", "recordID={r1}&meta_context=other"), That(context_is_other)),
    ("UP3 POST", Some_, Form("updateRecordings", "recordID={r1}&meta_context=other"), That(context_is_other)),
    ("UP4", Some_, Get("updateRecordings", "recordID={r1}&meta_gl-listed="), That(|seen| {
        updated(seen);
        assert_eq!(seen.recording("r1").meta.get("gl-listed"), None);
    })),
    ("UP5 clients M21", Some_, Get("updateRecordings", "recordID={r1},{r2}&meta_newkey=newvalue&meta_gl-listed="), That(|seen| {
        updated(seen);
        for name in ["r1", "r2"] {
            let meta = seen.recording(name).meta;
            assert_eq!((meta.get("newkey").map(String::as_str), meta.get("gl-listed")), (Some("newvalue"), None));
        }
    })),
    ("clients 4.2: all that Moodle sends back", Some_, Get("updateRecordings", "recordID={r1}&meetingID=x&published=true&playbacks%5Bpresentation%5D%5Btype%5D=presentation&meta_context=other"), That(context_is_other)),
    ("new: unknown", Some_, Get("updateRecordings", "recordID=unknown&meta_a=1"), UNKNOWN),
];

fn updated(seen: &Seen) {
    seen.judge(&Ok(&[("updated", "true")]));
}

fn context_is_other(seen: &Seen) {
    updated(seen);
    assert_eq!(seen.recording("r1").meta.get("context").map(String::as_str), Some("other"));
    assert_eq!(seen.recording("r1").meta.len(), 2);
}

#[tokio::test]
async fn update_recordings() {
    check(UPDATE).await;
}

#[rustfmt::skip]
const DELETE: &[Case] = &[
    ("CK1", Some_, Plain("GET", "/bigbluebutton/api/deleteRecordings"), UNSIGNED),
    ("DE1", Some_, Get("deleteRecordings", ""), NO_ID),
    ("DE2 R13", Some_, Get("deleteRecordings", "recordID=123"), UNKNOWN),
    ("DE3", Some_, Get("deleteRecordings", "recordID={r1}"), That(|seen| deleted(seen, &["r1"]))),
    ("DE3: three", Some_, Get("deleteRecordings", "recordID={r1},{r2},{r3}"), That(|seen| deleted(seen, &["r1", "r2", "r3"]))),
    ("DE5", Some_, Post("deleteRecordings", "recordID={r1}", FORM, "a=1"), That(|seen| {
        seen.judge(&NO_CALL);
        assert_eq!(seen.recording("r1").state, RecordingState::Published);
    })),
];

fn deleted(seen: &Seen, names: &[&str]) {
    seen.judge(&Ok(&[("deleted", "true")]));
    for name in names {
        assert_eq!(seen.recording(name).state, RecordingState::Deleted, "{name}");
    }
}

#[tokio::test]
async fn delete_recordings() {
    check(DELETE).await;
}

#[tokio::test]
async fn clients_6_twenty_five_rooms_at_once() {
    let world = World::start(2).await;
    let rooms: Vec<String> = (0..25).map(|n| format!("{:054}", n)).collect();
    for (n, room) in rooms.iter().enumerate() {
        world.sims[n % 2].add_recording(sim::Recording::of(room, 1_700_000_000_000 + n as u64));
    }
    let query = format!("meetingID={}", rooms.join("%2C"));
    let answer = world.gateway.get("getRecordings", &query).await;
    assert_eq!(answer.assert_success().body.matches("<recording>").count(), 25);
}
