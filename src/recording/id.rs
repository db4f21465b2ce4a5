//! Record IDs, and the comma lists of them that clients send.
//!
//! BBB decodes such a list a second time before it splits it (`bbb-api.md` 5.1), clients encode it once or
//! twice, so each ID is kept as it was received and as either decoding reads it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::bbb::query;

/// The parameter that carries record IDs.
pub(crate) const PARAM: &str = "recordID";

/// A recording as its server calls it: sha1 of the meeting ID, `-`, createTime (`bbb-api.md` 9.1). What
/// clients ask for may also be a prefix of one, or anything else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(Arc<str>);

impl RecordId {
    /// Takes `text` as it is; `None` if it is empty.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names one recording rather than being a prefix: 40 hex digits, `-`, 13 digits.
    pub fn is_full(&self) -> bool {
        self.0.len() == 54
            && self.0.split_once('-').is_some_and(|(hash, time)| {
                hash.len() == 40
                    && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && time.bytes().all(|byte| byte.is_ascii_digit())
            })
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of a list of record IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As it stands in the query.
    raw: String,
    /// As BBB reads it, decoded twice.
    id: RecordId,
    /// Decoded once, if that differs.
    once: Option<RecordId>,
}

impl Asked {
    fn of(raw: &str) -> Vec<Self> {
        let once = query::decode(raw);
        let twice = query::decode(&once);
        if twice.contains(',') {
            // The comma was escaped in a way that `pieces` does not know: take BBB's reading.
            let exact =
                |id| Some(Self { raw: encode_twice(id), id: RecordId::new(id)?, once: None });
            return twice.split(',').filter_map(exact).collect();
        }
        let once = (once != twice).then(|| RecordId::new(&once)).flatten();
        RecordId::new(&twice).map(|id| Self { raw: raw.to_owned(), id, once }).into_iter().collect()
    }

    /// The readings of the entry, BBB's own first.
    pub fn readings(&self) -> impl Iterator<Item = &RecordId> {
        std::iter::once(&self.id).chain(&self.once)
    }

    /// Whether the entry names one recording rather than being a prefix.
    pub fn is_full(&self) -> bool {
        self.id.is_full()
    }
}

/// The record IDs of a call: at least one, each once, in the order of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    separator: &'static str,
    asked: Vec<Asked>,
}

/// How a comma may stand in a list that is decoded twice.
const SEPARATORS: [&str; 5] = [",", "%2C", "%2c", "%252C", "%252c"];

impl Ids {
    /// The list among `params`; `None` if it is absent or holds nothing. The first of duplicates counts.
    pub fn of(params: &str) -> Option<Self> {
        let param = query::params(params).find(|param| param.name() == PARAM)?;
        let (_, raw) = param.raw.split_once('=')?;
        let (separator, pieces) = pieces(raw);
        let mut seen = HashSet::new();
        let asked: Vec<Asked> = pieces
            .into_iter()
            .flat_map(Asked::of)
            .filter(|asked| seen.insert(asked.id.clone()))
            .collect();
        (!asked.is_empty()).then_some(Self { separator, asked })
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter()
    }

    /// `params` with the list reduced to `part`, encoded as it was received; everything else keeps its
    /// bytes and order. Further lists, which no server would read, are left out.
    pub(crate) fn replace_in(&self, params: &str, part: &[&Asked]) -> String {
        let raws: Vec<&str> = part.iter().map(|asked| asked.raw.as_str()).collect();
        let mut list = Some(raws.join(self.separator));
        let pieces: Vec<Cow<'_, str>> = query::params(params)
            .filter_map(|param| {
                if param.name() != PARAM {
                    return Some(Cow::Borrowed(param.raw));
                }
                let name = param.raw.split('=').next().unwrap_or(PARAM);
                list.take().map(|list| Cow::Owned(format!("{name}={list}")))
            })
            .collect();
        pieces.join("&")
    }
}

/// The entries of the raw list and what stands between them.
fn pieces(raw: &str) -> (&'static str, Vec<&str>) {
    let (mut found, mut pieces, mut rest) = (None, Vec::new(), raw);
    while let Some((at, separator)) =
        SEPARATORS.into_iter().filter_map(|s| Some((rest.find(s)?, s))).min()
    {
        found = found.or(Some(separator));
        pieces.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    pieces.push(rest);
    (found.unwrap_or(","), pieces)
}

/// The getRecordings query that finds out which servers have `ids`, whatever state they are in.
pub fn locate_query<'i>(ids: impl IntoIterator<Item = &'i RecordId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| encode_twice(id.as_str())).collect();
    format!("{PARAM}={}&state=any", ids.join("%2C"))
}

fn encode_twice(id: &str) -> String {
    query::encode(&query::encode(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::samples::full;

    fn readings(query: &str) -> Vec<Vec<String>> {
        let ids = Ids::of(query).into_iter().flat_map(|ids| ids.asked);
        ids.map(|asked| asked.readings().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn lists_are_read_with_one_and_with_two_decodings() {
        for (query, expected) in [
            ("recordID=r1,r2", vec![vec!["r1"], vec!["r2"]]), // GR7
            ("x=1&recordID=r1%2Cr2%2cr3", vec![vec!["r1"], vec!["r2"], vec!["r3"]]),
            ("record%49D=r1%252Cr2", vec![vec!["r1"], vec!["r2"]]),
            ("recordID=r1%2%43r2", vec![vec!["r1"], vec!["r2"]]),
            ("recordID=a%252Bb,c%2Bd", vec![vec!["a+b", "a%2Bb"], vec!["c d", "c+d"]]),
            ("recordID=%25zz", vec![vec!["%zz"]]),
            ("recordID=r1,,r1,", vec![vec!["r1"]]),
            ("recordID=r1&recordID=r2", vec![vec!["r1"]]),
            ("recordID=,", vec![]),
            ("recordID=", vec![]),
            ("recordID", vec![]),
            ("meetingID=m", vec![]),
        ] {
            assert_eq!(readings(query), expected, "{query}");
        }
    }

    #[test]
    fn lists_of_any_length_are_read() {
        let list: Vec<String> = (0..200).map(|n| full('a', n)).collect();
        assert_eq!(readings(&format!("recordID={}", list.join("%2C"))).len(), 200);
    }

    #[test]
    fn full_ids_are_told_from_prefixes() {
        let id = full('a', 7);
        for (text, expected) in [
            (id.as_str(), true),
            (&id[..40], false), // GR6
            (&id[..53], false),
            (&id.replace('a', "g"), false),
            (&id.replace('-', "a"), false),
            (&format!("{id}0"), false),
            ("é", false),
        ] {
            assert_eq!(RecordId::new(text).unwrap().is_full(), expected, "{text}");
        }
    }

    #[test]
    fn a_part_keeps_the_encoding_and_everything_around_it() {
        for (query, expected) in [
            ("a=%2f&recordID=r1,r2,r3&b=x+y", "a=%2f&recordID=r1,r3&b=x+y"),
            ("recordID=r1%2cr2%2cr%33&&b", "recordID=r1%2cr%33&b"),
            ("recordID=r1%252cr2%252cr3", "recordID=r1%252cr3"),
            ("record%49D=r1%252Cr2%252Cr3&recordID=r9", "record%49D=r1%252Cr3"),
        ] {
            let ids = Ids::of(query).unwrap();
            assert_eq!(ids.replace_in(query, &[&ids.asked[0], &ids.asked[2]]), expected, "{query}");
        }
    }

    #[test]
    fn what_is_located_is_what_was_asked_for() {
        let ids = [RecordId::new("a+b %").unwrap(), RecordId::new("c").unwrap()];
        let query = locate_query(&ids);
        assert_eq!(query, "recordID=a%252Bb%2B%2525%2Cc&state=any");
        assert_eq!(readings(&query), [vec!["a+b %", "a%2Bb+%25"], vec!["c"]]);
    }

    proptest! {
        #[test]
        fn any_list_is_survived_and_replacing_all_of_it_changes_no_reading(
            list in "([a-f0-9%+]|%2C|%252c|,|%2%43){0,20}",
        ) {
            let query = format!("a=1&recordID={list}&b=2");
            if let Some(ids) = Ids::of(&query) {
                let all: Vec<&Asked> = ids.iter().collect();
                let again = ids.replace_in(&query, &all);
                let first = |query: &str| -> Vec<String> {
                    readings(query).into_iter().map(|readings| readings[0].clone()).collect()
                };
                prop_assert_eq!(first(&again), first(&query));
            }
        }
    }
}
