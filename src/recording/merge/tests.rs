//! One answer out of many: order, copies, pages, and what a missing server means.

use proptest::prelude::*;

use super::*;
use crate::recording::samples::{NONE, call, full, listing, playable, recording};

const FAILED: &str =
    "<response><returncode>FAILED</returncode><messageKey>noRecordings</messageKey></response>";

fn filter(query: &str) -> Filter {
    Filter::of(&call("getRecordings", query))
}

fn merged(answers: &[Option<String>]) -> Merged<'_, usize> {
    Merged::of(answers.iter().map(|answer| answer.as_deref().map(str::as_bytes)).enumerate())
}

fn answer(query: &str, answers: &[Option<String>]) -> String {
    let reply = merged(answers).answer(&filter(query));
    assert_eq!(reply.key.is_some(), reply.body.windows(6).any(|at| at == b"FAILED"));
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// The IDs of the answer in order; `None` if it is FAILED.
#[track_caller]
fn check(query: &str, answers: &[Option<String>], expected: Option<&[&str]>) {
    let answer = answer(query, answers);
    let ids: Vec<&str> =
        answer.split("<recordID>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    let unreachable = "<messageKey>internalError</messageKey>";
    assert_eq!((!answer.contains(unreachable)).then_some(&ids[..]), expected, "{query}: {answer}");
}

fn list(recordings: &[String]) -> Option<String> {
    Some(listing(recordings))
}

#[test]
fn newest_first_whoever_has_it_and_bytes_untouched() {
    let odd = "<recording>\n <recordID> b </recordID>\n<startTime>20</startTime>\
        <metadata><1x y>\u{1F600}&amp;</1x y></metadata><playback><format/></playback></recording>";
    let servers =
        [list(&[playable("a", 10), playable("d", 30)]), list(&[odd.into(), playable("c", 30)])];
    check("meetingID=m1,m2", &servers, Some(&["c", "d", " b ", "a"])); // GR4
    assert!(answer("", &servers).contains(odd));
}

#[test]
fn prefixes_and_lists_are_the_servers_to_match() {
    // GR6, GR7
    let (one, two) = (full('a', 1), full('a', 2));
    let servers = [list(&[playable(&one, 1)]), list(&[playable(&two, 2)]), Some(NONE.into())];
    check(&format!("recordID={}", &one[..40]), &servers, Some(&[&two, &one]));
    check(&format!("recordID={one},{two}"), &servers, Some(&[&two, &one]));
}

#[test]
fn none_is_told_in_the_words_of_bbb() {
    // GR5, M20
    let fetching_all = "<response><returncode>SUCCESS</returncode><messageKey>noRecordings</messageKey></response>";
    for servers in [vec![Some(NONE.into())], vec![Some(NONE.into()), Some(fetching_all.into())]] {
        assert_eq!(answer("limit=5", &servers), NONE);
        assert_eq!(answer("recordID=ABC", &servers), NONE);
    }
}

#[test]
fn what_cannot_be_played_is_shown_on_demand_only() {
    // M22
    let bare = "<recording><recordID>bare</recordID></recording>".to_owned();
    let servers = [list(&[
        playable("a", 3),
        recording("p", "processing", 2, false),
        recording("u", "unpublished", 1, true),
        bare,
    ])];
    check("", &servers, Some(&["a", "u"]));
    check("state=", &servers, Some(&["a", "u"]));
    check("state=any", &servers, Some(&["a", "p", "u", "bare"]));
    check("limit=1", &servers, Some(&["a"]));
    assert!(answer("limit=1", &servers).contains("<totalElements>2<"));
}

#[test]
fn pages_are_cut_from_the_merged_list() {
    let servers = [
        list(&[playable("a", 1), playable("c", 3), playable("e", 5)]),
        list(&[playable("b", 2), playable("d", 4), playable("e", 5)]),
    ];
    check("limit=2", &servers, Some(&["e", "d"]));
    check("limit=2&offset=2", &servers, Some(&["c", "b"]));
    check("limit=2&offset=4", &servers, Some(&["a"]));
    check("offset=4", &servers, Some(&["e", "d", "c", "b", "a"]));
    check("limit=2&offset=9", &servers, Some(&[]));
    assert!(answer("limit=2&offset=2", &servers).contains("</recordings><totalElements>5<"));
    assert!(answer("limit=2&offset=9", &servers).contains(">noRecordings<"));
    assert!(!answer("", &servers).contains("totalElements"));
}

#[test]
fn of_several_copies_the_best_is_listed() {
    let old = "<recording><recordID>r</recordID><published>true</published><playback><format/></playback></recording>";
    let deleted = recording("r", "deleted", 5, true);
    let processing = recording("r", "processing", 4, false);
    let empty = recording("r", "published", 3, false);
    let unpublished = recording("r", "unpublished", 2, true);
    let published = recording("r", "published", 1, true);
    let later = recording("r", "published", 9, true);
    for (copies, expected) in [
        ([&deleted, &processing], &processing),
        ([&processing, &empty], &empty),
        ([&empty, &unpublished], &unpublished),
        ([&unpublished, &published], &published),
        ([&unpublished, &old.to_owned()], &old.to_owned()),
    ] {
        let servers = copies.map(|copy| list(std::slice::from_ref(copy)));
        let answer = answer("state=any", &servers);
        assert_eq!(answer.matches("<recordID>").count(), 1, "{answer}");
        assert!(answer.contains(expected), "{answer}");
    }
    let same_worth = [list(&[published.clone(), later.clone()]), list(&[later])];
    assert!(answer("", &same_worth).contains(&published));
}

#[test]
fn a_missing_server_fails_all_but_full_ids_that_were_found() {
    let (one, two) = (full('a', 1), full('b', 2));
    let unplayable = full('c', 3);
    let there = listing(&[
        playable(&one, 1),
        playable(&two, 2),
        recording(&unplayable, "published", 3, false),
        playable("short", 4),
    ]);
    for absent in [None, Some(FAILED.into()), Some("<html>502</html>".into()), Some("".into())] {
        let servers = [Some(there.clone()), absent];
        for (query, is_complete) in [
            (String::new(), false),
            ("meetingID=m".into(), false),
            ("recordID=&meetingID=m".into(), false),
            (format!("recordID={}", &one[..40]), false),
            (format!("recordID={one},{}", &two[..53]), false),
            (format!("recordID={one},{}", full('d', 9)), false),
            ("recordID=short".into(), false),
            (format!("recordID={unplayable}"), false),
            (format!("recordID={unplayable}&state=any"), true),
            (format!("recordID={one}%2C{two}&meetingID=x"), true),
            (format!("recordID={one}%252C{two}"), true),
        ] {
            let answer = answer(&query, &servers);
            assert_eq!(!answer.contains(">internalError<"), is_complete, "{query}");
        }
    }
}

#[test]
fn without_any_server_nothing_is_claimed() {
    check("", &[], None);
    check("", &[None], None);
    assert!(!merged(&[]).is_whole());
}

#[test]
fn who_has_what_is_told_of_every_copy() {
    let servers = [
        list(&[playable("a", 1), recording("b", "deleted", 1, false)]),
        None,
        list(&[playable("a", 1)]),
    ];
    let merged = merged(&servers);
    let found: Vec<(&str, usize)> =
        merged.found().map(|(id, server)| (id.as_str(), server)).collect();
    assert_eq!(found, [("a", 0), ("a", 2), ("b", 0)]);
    assert_eq!(merged.missing(), [1]);
    assert_eq!(merged.server_of(&RecordId::new("b").unwrap()), Some(0));
    assert_eq!(merged.server_of(&RecordId::new("c").unwrap()), None);
}

#[test]
fn recordings_without_an_id_are_nobodys() {
    let nameless = ["<recording/>", "<recording><recordID> </recordID></recording>"];
    let servers = [list(&nameless.map(str::to_owned)), list(&[playable("a", 1)])];
    check("state=any", &servers, Some(&["a"]));
}

prop_compose! {
    fn any_recording()(
        id in "[ab]",
        state in prop::sample::select(vec!["published", "unpublished", "processing", "deleted"]),
        start_time in 0_u64..3,
        playback in any::<bool>(),
    ) -> String {
        recording(&id, state, start_time, playback)
    }
}

proptest! {
    #[test]
    fn the_order_of_arrival_changes_nothing(
        (servers, shuffled) in prop::collection::vec(
            prop::option::weighted(0.9, prop::collection::vec(any_recording(), 0..4)), 0..5,
        ).prop_map(|servers| servers.into_iter().map(|list| list.map(|l| listing(&l))).enumerate().collect::<Vec<_>>())
        .prop_flat_map(|servers| (Just(servers.clone()), Just(servers).prop_shuffle())),
        query in prop::sample::select(vec!["", "state=any", "limit=2", "limit=1&offset=1&state=any"]),
    ) {
        let told = |servers: &[(usize, Option<String>)]| {
            let answers = servers.iter().map(|(at, body)| (*at, body.as_deref().map(str::as_bytes)));
            let merged = Merged::of(answers);
            (merged.answer(&filter(query)), merged.missing().to_vec())
        };
        prop_assert_eq!(told(&servers), told(&shuffled));
    }

    #[test]
    fn any_answer_is_survived(
        inside in "(<recordings>|</recordings>|<recording>|</recording>|<recordID>|</recordID>|<a/>|&|r){0,20}",
    ) {
        let body = format!("<response><returncode>SUCCESS</returncode>{inside}</response>");
        let _ = answer("state=any", &[Some(body)]);
    }
}
