//! Servers' answers are read without a panic, what is cut out of them lies inside, and what is merged from
//! several is readable again and holds each element once.
//!
//! Input: a byte that says what surrounds the rest, then answers with a zero byte between them.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use tinyscale_fuzz::bbb::call::{CallName, SignedCall};
use tinyscale_fuzz::bbb::checksum::{Algorithm, sign};
use tinyscale_fuzz::bbb::meetings::{self, SeenMeeting};
use tinyscale_fuzz::bbb::secret::Secret;
use tinyscale_fuzz::bbb::xml::{self, Item, Wanted};
use tinyscale_fuzz::cluster::server::ServerId;
use tinyscale_fuzz::recording::filter::Filter;
use tinyscale_fuzz::recording::merge::Merged;
use tinyscale_fuzz::route::merge::{self, ServerList};

const WANTED: Wanted = Wanted {
    fields: &["version", "published"],
    list: Some(("meetings", "meeting")),
    item_fields: &["meetingID", "metadata/size", "participantCount"],
};
const RECORDINGS: Wanted =
    Wanted { fields: &[], list: Some(("recordings", "recording")), item_fields: &["recordID"] };

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let bodies: Vec<Vec<u8>> =
        rest.split(|byte| *byte == 0).take(4).map(|part| around(*how, part)).collect();
    for body in &bodies {
        check_ranges(body, &WANTED);
        check_ranges(body, &RECORDINGS);
    }
    check_meetings(&bodies);
    check_recordings(&bodies, *how);
});

/// Most inputs would be no answers at all, so their beginning and end are given for some.
fn around(how: u8, part: &[u8]) -> Vec<u8> {
    let (start, end): (&[u8], &[u8]) = match how & 3 {
        0 => (b"", b""),
        1 => (b"<response><returncode>SUCCESS</returncode>", b"</response>"),
        2 => (b"<response><returncode>SUCCESS</returncode><meetings>", b"</meetings></response>"),
        _ => {
            (b"<response><returncode>SUCCESS</returncode><recordings>", b"</recordings></response>")
        }
    };
    [start, part, end].concat()
}

fn check_ranges(body: &[u8], wanted: &Wanted) -> Vec<Item> {
    let items = xml::read(body, wanted).map(|answer| answer.items).unwrap_or_default();
    let mut end = 0;
    for item in &items {
        assert!(item.bytes.start >= end, "items overlap");
        end = item.bytes.end;
        let element = body.get(item.bytes.clone()).expect("an item lies inside");
        assert!(element.starts_with(b"<") && element.ends_with(b">"));
        for name in wanted.item_fields {
            let _ = (item.fields.number(name), item.fields.is_true(name));
        }
    }
    items
}

fn check_meetings(bodies: &[Vec<u8>]) {
    let read: Vec<(ServerId, &Vec<u8>, Vec<SeenMeeting>)> = (0..)
        .map(ServerId)
        .zip(bodies)
        .filter_map(|(server, body)| Some((server, body, meetings::read(body).ok()?)))
        .collect();
    let lists: Vec<ServerList<'_>> = read
        .iter()
        .map(|(server, body, meetings)| ServerList { server: *server, body, meetings })
        .collect();
    let expected: BTreeSet<_> =
        read.iter().flat_map(|(_, _, meetings)| meetings.iter().map(|m| &m.internal)).collect();
    let merged = merge::meetings(&lists, |_| None);
    let again = meetings::read(&merged.body).expect("a merged answer is an answer");
    let found: BTreeSet<_> = again.iter().map(|meeting| &meeting.internal).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), again.len(), "a meeting is listed twice");
    // Where the meetings live decides which copy is shown, never whether one is.
    for home in 0..2 {
        let merged = merge::meetings(&lists, |_| Some(ServerId(home)));
        let again = meetings::read(&merged.body).expect("a merged answer is an answer");
        let ids: BTreeSet<_> = again.iter().map(|meeting| &meeting.id).collect();
        let all: BTreeSet<_> = read.iter().flat_map(|(_, _, m)| m.iter().map(|m| &m.id)).collect();
        assert!(ids.is_subset(&all));
    }
}

fn check_recordings(bodies: &[Vec<u8>], how: u8) {
    let query = ["state=any", "", "state=any&limit=2&offset=1"][usize::from(how >> 2) % 3];
    let filter = filter(query);
    let merged = Merged::of((0..).zip(bodies.iter().map(|body| Some(&body[..]))));
    let reply = merged.answer(&filter);
    let answer = xml::read(&reply.body, &RECORDINGS).expect("a merged answer is an answer");
    assert_eq!(reply.key.is_none(), merged.is_whole());
    let listed: Vec<&str> =
        answer.items.iter().map(|i| i.fields.text("recordID").expect("an ID").trim()).collect();
    let once: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "a recording is listed twice");
    let found: BTreeSet<&str> = merged.found().map(|(id, _)| id.as_str()).collect();
    assert!(once.is_subset(&found));
    if query == "state=any" && merged.is_whole() {
        assert_eq!(once, found);
    }
    // The order of the answers changes nothing.
    let turned = Merged::of(
        (0..).zip(bodies.iter().map(|body| Some(&body[..]))).collect::<Vec<_>>().into_iter().rev(),
    );
    assert_eq!(turned.answer(&filter), reply);
}

fn filter(query: &str) -> Filter {
    let secret = Secret::new("s").expect("not empty");
    let wire = sign("getRecordings", query, Algorithm::Sha1, &secret);
    let call =
        SignedCall { name: &CallName::GetRecordings, query: &wire, form: None }.verify(&[secret]);
    Filter::of(&call.expect("just signed"))
}
