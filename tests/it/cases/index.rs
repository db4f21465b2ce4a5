//! The version call, and paths that are none of the API.

use crate::cases::Ask::{Get, Plain};
use crate::cases::Given::Nothing;
use crate::cases::Told::{Failed, That};
use crate::cases::{Case, Seen, check};

const NO_CALL: crate::cases::Told = Failed("unsupportedRequest", "This request is not supported.");

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("IX1 clients M2 C1", Nothing, Plain("GET", "/bigbluebutton/api"), That(version)),
    ("IX1 with a slash", Nothing, Plain("GET", "/bigbluebutton/api/"), That(version)),
    ("IX2", Nothing, Plain("POST", "/bigbluebutton/api"), That(version)),
    ("clients M2: signed with an empty secret", Nothing, Plain("GET", "/bigbluebutton/api/?checksum=da39a3ee5e6b4b0d3255bfef95601890afd80709"), That(version)),
    ("clients M2: signed like PHP does", Nothing, Plain("GET", "/bigbluebutton/api/?&checksum=x"), That(version)),
    ("clients 7: nobody asks there, BBB answers", Nothing, Plain("GET", "/bigbluebutton/"), That(version)),
    ("ER1", Nothing, Plain("GET", "/unsupportedRequest"), NO_CALL),
    ("ER2", Nothing, Plain("GET", "/bigbluebutton/api/unsupportedRequest"), NO_CALL),
    ("ER3", Nothing, Plain("GET", "/"), That(|seen| assert_eq!(seen.answer.status, 200))),
    ("ER4", Nothing, Plain("GET", "/playback/presentation/2.0/X"), NO_CALL),
    ("M24 signed", Nothing, Get("unsupportedRequest", ""), NO_CALL),
    ("C19: not 405, front ends read no body of one", Nothing, Plain("PUT", "/bigbluebutton/api/create?meetingID=room"), NO_CALL),
    ("new: DELETE", Nothing, Plain("DELETE", "/bigbluebutton/api/getMeetings"), NO_CALL),
    ("new: another case is another call", Nothing, Get("getmeetings", ""), NO_CALL),
    ("new: session calls belong to servers", Nothing, Plain("GET", "/bigbluebutton/api/enter?sessionToken=x&meetingID=room"), NO_CALL),
];

fn version(seen: &Seen) {
    seen.assert_xml();
    assert_eq!(seen.answer.assert_success().text("version"), "2.0");
    assert!(!seen.answer.body.contains("<build>") && !seen.answer.body.contains("graphql"));
}

#[tokio::test]
async fn index_and_unknown_paths() {
    check(CASES).await;
}
