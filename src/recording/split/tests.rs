//! Splitting a call by servers, and when it is refused.

use proptest::prelude::*;

use super::*;
use crate::recording::samples::{NONE, call, call_with_form, full, listing, playable, recording};

fn owners(known: &[(&str, char)]) -> Owners<char> {
    let mut owners = Owners::new(100);
    for (id, server) in known {
        owners.learn(&RecordId::new(id).unwrap(), *server);
    }
    owners
}

fn split(name: &str, query: &str, known: &[(&str, char)]) -> Split<char> {
    Split::of(&call(name, query), &owners(known)).unwrap()
}

fn locate(split: &mut Split<char>, answers: &[(char, Option<String>)]) {
    let answers =
        answers.iter().map(|(server, body)| (*server, body.as_deref().map(str::as_bytes)));
    split.locate(&Merged::of(answers));
}

fn queries(split: &Split<char>) -> Result<Vec<(char, String)>, Fault> {
    Ok(split.parts()?.into_iter().map(|part| (part.server, part.query)).collect())
}

fn sent<const N: usize>(parts: [(char, String); N]) -> Result<Vec<(char, String)>, Fault> {
    Ok(parts.into())
}

#[test]
fn what_is_missing_is_named_as_bbb_names_it() {
    for (name, query, expected) in [
        ("publishRecordings", "publish=true", Fault::record_id_missing()), // PR1
        ("publishRecordings", "", Fault::record_id_missing()),
        ("publishRecordings", "recordID=r", Fault::publish_missing()), // PR2
        ("publishRecordings", "recordID=r&publish=", Fault::publish_missing()),
        ("updateRecordings", "meta_a=b", Fault::record_id_missing()), // UP1
        ("deleteRecordings", "recordID=", Fault::record_id_missing()), // DE1
        ("deleteRecordings", "recordID=,", Fault::record_id_missing()),
        ("getRecordings", "recordID=r", Fault::unsupported()),
    ] {
        let fault = Split::<char>::of(&call(name, query), &Owners::new(1)).unwrap_err();
        assert_eq!(fault, expected, "{name}?{query}");
    }
    assert_eq!(Fault::publish_missing().key, "missingParamPublish");
}

#[test]
fn remembered_ids_go_to_their_servers_with_the_rest_untouched() {
    // M21
    let [one, two, three] = [full('a', 1), full('b', 2), full('c', 3)];
    let known = [(&*one, 'x'), (&*two, 'y'), (&*three, 'x')];
    let query =
        format!("meta_a=%2f+&recordID={one}%2C{two}%2C{three}%2C{two}&publish=TRUE&meta_a=2");
    let split = split("publishRecordings", &query, &known);
    assert_eq!(split.locate_query(), None);
    assert_eq!(
        queries(&split),
        sent([
            ('x', format!("meta_a=%2f+&recordID={one}%2C{three}&publish=TRUE&meta_a=2")),
            ('y', format!("meta_a=%2f+&recordID={two}&publish=TRUE&meta_a=2")),
        ])
    );
    assert_eq!(split.parts().unwrap()[0].ids.len(), 2);
}

#[test]
fn the_form_of_an_update_is_sent_in_the_query() {
    // UP3
    let one = full('a', 1);
    let call = call_with_form("updateRecordings", "", Some(&format!("recordID={one}&meta_a=")));
    let split = Split::of(&call, &owners(&[(&one, 'x')])).unwrap();
    assert_eq!(queries(&split), sent([('x', format!("recordID={one}&meta_a="))]));
}

#[test]
fn every_copy_is_changed() {
    let one = full('a', 1);
    let query = format!("recordID={one}");
    let split = split("deleteRecordings", &query, &[(&one, 'x'), (&one, 'y')]);
    assert_eq!(queries(&split), sent([('x', query.clone()), ('y', query)]));
}

#[test]
fn unresolved_ids_are_located_first() {
    let [one, two] = [full('a', 1), full('b', 2)];
    let query = format!("recordID={one},{two},123");
    let mut split = split("deleteRecordings", &query, &[(&one, 'x')]);
    assert_eq!(queries(&split), Err(Fault::server_unreachable()), "nobody was asked yet");
    let unresolved: Vec<&str> = split.unresolved().map(RecordId::as_str).collect();
    assert_eq!(unresolved, [&two, "123"]);
    assert_eq!(split.locate_query(), Some(format!("recordID={two}%2C123&state=any")));
    let processing = recording(&two, "processing", 1, false);
    locate(&mut split, &[('x', Some(NONE.into())), ('y', Some(listing(&[processing])))]);
    assert_eq!(split.locate_query(), None);
    let part = |id: &str| format!("recordID={id}");
    assert_eq!(queries(&split), sent([('x', part(&one)), ('y', part(&two))]));
}

#[test]
fn ids_that_nobody_has_are_not_found() {
    // PR5, DE2
    for (name, query) in
        [("publishRecordings", "recordID=123&publish=true"), ("deleteRecordings", "recordID=123")]
    {
        let mut split = split(name, query, &[]);
        locate(&mut split, &[('x', Some(NONE.into())), ('y', Some(NONE.into()))]);
        assert_eq!(queries(&split), Err(Fault::recordings_not_found()));
    }
}

#[test]
fn a_prefix_goes_wherever_it_starts_an_id() {
    // bbb-api.md 2.10: updateRecordings
    let [one, two] = [full('a', 1), full('a', 2)];
    let prefix = &one[..40];
    let query = format!("recordID={prefix}&meta_a=b");
    let known = [(&*one, 'x'), (prefix, 'x')];
    let mut split = split("updateRecordings", &query, &known);
    assert_eq!(split.locate_query(), Some(format!("recordID={prefix}&state=any")));
    let list =
        |ids: &[&str]| Some(listing(&ids.iter().map(|id| playable(id, 1)).collect::<Vec<_>>()));
    let answers = [('y', list(&[&two])), ('x', list(&[&one, &two])), ('z', list(&[&full('b', 1)]))];
    locate(&mut split, &answers);
    assert_eq!(queries(&split), sent([('x', query.clone()), ('y', query)]));
}

#[test]
fn a_server_that_cannot_be_asked_refuses_what_it_may_have() {
    let [one, two] = [full('a', 1), full('b', 2)];
    let there = Some(listing(&[playable(&one, 1)]));
    for (ids, expected) in [
        (one.clone(), Ok(())),
        (format!("{one},{two}"), Err(Fault::server_unreachable())),
        (two, Err(Fault::server_unreachable())),
        (one[..40].to_owned(), Err(Fault::server_unreachable())),
        ("123".to_owned(), Err(Fault::server_unreachable())),
    ] {
        let mut split = split("deleteRecordings", &format!("recordID={ids}"), &[]);
        locate(&mut split, &[('x', there.clone()), ('y', None)]);
        assert_eq!(split.parts().map(|_| ()), expected, "{ids}");
    }
    let mut nobody_asked = split("deleteRecordings", "recordID=1", &[]);
    locate(&mut nobody_asked, &[]);
    assert_eq!(queries(&nobody_asked), Err(Fault::server_unreachable()));
}

#[test]
fn answers_are_read_for_what_they_say_of_the_call() {
    let split = split("updateRecordings", "recordID=r", &[]);
    let ok =
        |inside: &str| format!("<response><returncode>SUCCESS</returncode>{inside}</response>");
    let failed = |key: &str| {
        format!(
            "<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>"
        )
    };
    for (body, expected) in [
        (ok("<updated>true</updated>"), Verdict::Done(true)),
        (ok("<updated>false</updated>"), Verdict::Done(false)),
        (ok("<deleted>false</deleted>"), Verdict::Done(true)),
        (failed("notFound"), Verdict::NotFound),
        (failed("checksumError"), Verdict::Failed),
        ("<html>".to_owned(), Verdict::Failed),
    ] {
        assert_eq!(split.verdict(Some(body.as_bytes())), expected, "{body}");
    }
    assert_eq!(split.verdict(None), Verdict::Failed);
}

#[test]
fn one_answer_out_of_many() {
    use Verdict::{Done, Failed, NotFound};
    let publish = "publishRecordings?recordID=r&publish=True"; // PR4
    let unpublish = "publishRecordings?recordID=r&publish=False"; // PR3
    let (delete, update) = ("deleteRecordings?recordID=r", "updateRecordings?recordID=r");
    for (call, verdicts, expected) in [
        (publish, &[Done(true), Done(true)][..], "<published>true</published>"),
        (publish, &[Done(true), NotFound], "<published>true</published>"),
        (publish, &[Done(false), Done(true)], "<published>false</published>"),
        (unpublish, &[NotFound, Done(false)], "<published>false</published>"),
        (unpublish, &[Done(false), Done(true)], "<published>true</published>"),
        (delete, &[Done(true)], "<deleted>true</deleted>"), // DE3
        (update, &[Done(true), Done(false)], "<updated>false</updated>"), // UP7
        (update, &[Done(true), Done(true)], "<updated>true</updated>"), // UP5
        (delete, &[NotFound, NotFound], "<message>We could not find recordings</message>"),
        (delete, &[Done(true), Failed], "<messageKey>internalError</messageKey>"),
        (delete, &[NotFound, Failed], "<messageKey>internalError</messageKey>"),
    ] {
        let (name, query) = call.split_once('?').unwrap();
        let reply = split(name, query, &[]).answer(verdicts.iter().copied());
        let body = std::str::from_utf8(&reply.body).unwrap();
        assert!(body.contains(expected), "{call} {verdicts:?}: {body}");
        assert_eq!(reply.key.is_none(), body.contains("SUCCESS"), "{body}");
    }
}

proptest! {
    #[test]
    fn every_id_reaches_its_servers_and_no_other(
        known in prop::collection::btree_map(0_u32..90, prop::sample::select(vec!['x', 'y', 'z']), 1..90),
        separator in prop::sample::select(vec![",", "%2C", "%252c"]),
    ) {
        let ids: Vec<(String, char)> =
            known.iter().map(|(n, server)| (full('a', *n), *server)).collect();
        let list: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let query = format!("recordID={}", list.join(separator));
        let known: Vec<(&str, char)> = ids.iter().map(|(id, server)| (id.as_str(), *server)).collect();
        let mut received = Vec::new();
        for part in split("deleteRecordings", &query, &known).parts().unwrap() {
            let read = Ids::of(&part.query).unwrap();
            let read: Vec<&RecordId> = read.iter().filter_map(|asked| asked.readings().next()).collect();
            prop_assert_eq!(&read, &part.ids.iter().collect::<Vec<_>>());
            received.extend(read.iter().map(|id| (id.to_string(), part.server)));
        }
        received.sort();
        prop_assert_eq!(received, ids);
    }
}
