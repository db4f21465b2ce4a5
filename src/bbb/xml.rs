//! Reading what servers answer: bounded and tolerant. The only module that knows the XML crate.
//!
//! Keeps byte ranges, so that a merged answer carries each element as its server wrote it. Tolerates what
//! servers really send (metadata keys that are no XML names, locale-formatted numbers; `bbb-api.md` 2.0, 4)
//! and refuses what no BBB sends: document types, entities of one's own, endless nesting.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Deeper than any BBB answer (7 levels for an attendee's custom data).
const DEPTH_MAX: usize = 32;
/// Longer than any field that is looked at; the rest of a longer one is not kept.
const FIELD_BYTES_MAX: usize = 4096;

/// Why an answer is none of BBB's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// Not XML, or another kind of document: usually the HTML error page of a proxy.
    #[error("the answer is not BigBlueButton's XML")]
    NotBbb,
    /// The answer ends before its root element does.
    #[error("the answer is cut off")]
    Truncated,
    /// A `<response>` without a returncode.
    #[error("the answer has no returncode")]
    NoReturnCode,
    /// A document type, an own entity, or nesting beyond any BBB.
    #[error("the answer holds XML that BigBlueButton never sends")]
    Suspicious,
}

/// What `returncode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnCode {
    /// `SUCCESS`
    Success,
    /// `FAILED`
    Failed,
}

/// What to read: the texts of `fields` among the children of `<response>`, and of `item_fields` in each
/// `<item>` of `<list>`. A field of an item may name a grandchild as `parent/child`.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Children of `<response>`.
    pub fields: &'static [&'static str],
    /// The list element and the element that repeats in it.
    pub list: Option<(&'static str, &'static str)>,
    /// Children or grandchildren of each item.
    pub item_fields: &'static [&'static str],
}

/// Texts in the order of the `&'static [&'static str]` that asked for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    names: &'static [&'static str],
    texts: Vec<Option<String>>,
}

impl Fields {
    fn of(names: &'static [&'static str]) -> Self {
        Self { names, texts: vec![None; names.len()] }
    }

    /// The text of `name`; `None` if the element is absent, `""` if it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.texts.get(index)?.as_deref()
    }

    /// The number that `name` holds; old servers write 1024 as `1,024` or with blanks between.
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let only =
            text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || ",.'’".contains(c));
        only.then_some(digits)?.parse().ok()
    }

    /// Whether `name` reads `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    fn start(&mut self, path: &str) -> Option<usize> {
        let index = self.names.iter().position(|known| *known == path)?;
        let slot = self.texts.get_mut(index)?;
        // The first of several counts, as everywhere in BBB.
        slot.is_none().then(|| {
            *slot = Some(String::new());
            index
        })
    }

    fn push(&mut self, index: usize, text: &str) {
        if let Some(Some(slot)) = self.texts.get_mut(index) {
            let room = FIELD_BYTES_MAX.saturating_sub(slot.len());
            let end = (0..=text.len().min(room)).rev().find(|at| text.is_char_boundary(*at));
            slot.push_str(&text[..end.unwrap_or(0)]);
        }
    }
}

/// One element of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where the element stands in the answer, tags included.
    pub bytes: Range<usize>,
    /// What was asked for.
    pub fields: Fields,
}

/// An answer as far as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What `returncode` says.
    pub returncode: ReturnCode,
    /// `messageKey`, empty if absent.
    pub message_key: String,
    /// What was asked for.
    pub fields: Fields,
    /// The elements of the list.
    pub items: Vec<Item>,
}

impl Answer {
    /// Whether the answer is FAILED with this key.
    pub fn failed_with(&self, key: &str) -> bool {
        self.returncode == ReturnCode::Failed && self.message_key == key
    }
}

/// Reads `body` as far as `wanted`.
pub fn read(body: &[u8], wanted: &Wanted) -> Result<Answer, Nonsense> {
    let text = same_length_text(body);
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_dangling_amp = true;
    let mut walk = Walk::new(wanted);
    loop {
        let start = offset(&reader);
        match reader.read_event() {
            Ok(Event::Start(tag)) => walk.open(&tag, start)?,
            Ok(Event::Empty(tag)) => {
                walk.open(&tag, start)?;
                walk.close(offset(&reader));
            }
            Ok(Event::End(_)) => walk.close(offset(&reader)),
            Ok(Event::Text(text)) => walk.text(&text),
            Ok(Event::CData(text)) => walk.text(&text),
            Ok(Event::GeneralRef(entity)) => walk.text(&resolved(&entity)),
            Ok(Event::DocType(_)) => return Err(walk.not_bbb_or(Nonsense::Suspicious)),
            Ok(Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => {}
            Ok(Event::Eof) => return walk.finish(),
            Err(quick_xml::Error::Syntax(_)) => return Err(walk.not_bbb_or(Nonsense::Truncated)),
            Err(_) => return Err(Nonsense::NotBbb),
        }
    }
}

fn offset(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The text of a character reference or one of XML's own entities; others stay as they are written.
fn resolved(entity: &BytesRef<'_>) -> String {
    if let Ok(Some(c)) = entity.resolve_char_ref() {
        return c.to_string();
    }
    quick_xml::escape::resolve_predefined_entity(entity)
        .map_or_else(|| format!("&{};", &**entity), str::to_owned)
}

/// `body` as text in which every byte stands where it stood: what is no UTF-8 becomes question marks, a
/// byte order mark, which the reader would not count, blanks.
fn same_length_text(body: &[u8]) -> Cow<'_, str> {
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        return Cow::Owned(format!("   {}", same_length_text(rest)));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

const HEAD: &[&str] = &["returncode", "messageKey"];

/// Where the reader is, and what has been kept so far.
struct Walk<'w> {
    wanted: &'w Wanted,
    path: Vec<String>,
    seen_root: bool,
    head: Fields,
    fields: Fields,
    items: Vec<Item>,
    capture: Option<Capture>,
}

#[derive(Clone, Copy)]
enum Capture {
    Head(usize),
    Field(usize),
    Item(usize),
}

impl<'w> Walk<'w> {
    fn new(wanted: &'w Wanted) -> Self {
        Self {
            wanted,
            path: Vec::with_capacity(8),
            seen_root: false,
            head: Fields::of(HEAD),
            fields: Fields::of(wanted.fields),
            items: Vec::new(),
            capture: None,
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>, start: usize) -> Result<(), Nonsense> {
        let name = tag.name();
        let name = name.as_ref();
        match self.path.len() {
            0 if name != "response" || self.seen_root => return Err(Nonsense::NotBbb),
            0 => self.seen_root = true,
            DEPTH_MAX.. => return Err(Nonsense::Suspicious),
            _ => {}
        }
        self.path.push(name.to_owned());
        self.capture = self.wants(start);
        Ok(())
    }

    /// What the text of the element that was just opened is kept for.
    fn wants(&mut self, start: usize) -> Option<Capture> {
        let in_item = matches!((&self.path[..], self.wanted.list),
            ([_, list, item, ..], Some((l, i))) if list == l && item == i);
        match &self.path[..] {
            [_, field] => {
                let head = self.head.start(field).map(Capture::Head);
                let wanted = self.fields.start(field).map(Capture::Field);
                head.or(wanted)
            }
            [_, _, _] if in_item => {
                let fields = Fields::of(self.wanted.item_fields);
                self.items.push(Item { bytes: start..start, fields });
                None
            }
            [_, _, _, field] if in_item => {
                self.items.last_mut()?.fields.start(field).map(Capture::Item)
            }
            [_, _, _, parent, field] if in_item => {
                let path = format!("{parent}/{field}");
                self.items.last_mut()?.fields.start(&path).map(Capture::Item)
            }
            _ => None,
        }
    }

    fn text(&mut self, text: &str) {
        match self.capture {
            Some(Capture::Head(index)) => self.head.push(index, text),
            Some(Capture::Field(index)) => self.fields.push(index, text),
            Some(Capture::Item(index)) => {
                if let Some(item) = self.items.last_mut() {
                    item.fields.push(index, text);
                }
            }
            None => {}
        }
    }

    fn close(&mut self, end: usize) {
        if let ([_, list, item], Some((l, i))) = (&self.path[..], self.wanted.list)
            && list == l
            && item == i
            && let Some(item) = self.items.last_mut()
        {
            item.bytes.end = end;
        }
        self.path.pop();
        self.capture = None;
    }

    fn not_bbb_or(&self, else_: Nonsense) -> Nonsense {
        if self.seen_root { else_ } else { Nonsense::NotBbb }
    }

    fn finish(self) -> Result<Answer, Nonsense> {
        if !self.seen_root {
            return Err(Nonsense::NotBbb);
        }
        if !self.path.is_empty() {
            return Err(Nonsense::Truncated);
        }
        let code = self.head.text("returncode").unwrap_or_default().trim();
        let returncode = if code.eq_ignore_ascii_case("success") {
            ReturnCode::Success
        } else if code.eq_ignore_ascii_case("failed") {
            ReturnCode::Failed
        } else {
            return Err(Nonsense::NoReturnCode);
        };
        let message_key = self.head.text("messageKey").unwrap_or_default().trim().to_owned();
        Ok(Answer { returncode, message_key, fields: self.fields, items: self.items })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEETINGS: Wanted = Wanted {
        fields: &["version"],
        list: Some(("meetings", "meeting")),
        item_fields: &["meetingID", "participantCount", "metadata/size", "running"],
    };

    fn check(body: &str) -> Result<Answer, Nonsense> {
        read(body.as_bytes(), &MEETINGS)
    }

    #[test]
    fn elements_keep_their_bytes_and_give_their_fields() {
        let element = "<meeting>\n <meetingID>a &amp; b &#x41;<![CDATA[<c>]]></meetingID>\
            <attendees><attendee><meetingID>no</meetingID></attendee></attendees>\
            <participantCount>1,024</participantCount><metadata><size> 7 </size><1x y>z</1x y></metadata>\
            <running>True</running></meeting>";
        let body = format!(
            "<?xml version=\"1.0\"?>\n<response>\n<returncode>SUCCESS</returncode><version>2.0</version>\
             <meetings>{element} <meeting/> </meetings></response>\n"
        );
        let answer = check(&body).unwrap();
        assert_eq!(answer.returncode, ReturnCode::Success);
        assert_eq!(answer.fields.text("version"), Some("2.0"));
        assert_eq!(answer.items.len(), 2);
        let first = &answer.items[0];
        assert_eq!(&body[first.bytes.clone()], element);
        assert_eq!(first.fields.text("meetingID"), Some("a & b A<c>"));
        assert_eq!(first.fields.number("participantCount"), Some(1024));
        assert_eq!(first.fields.number("metadata/size"), Some(7));
        assert!(first.fields.is_true("running"));
        assert_eq!(&body[answer.items[1].bytes.clone()], "<meeting/>");
    }

    #[test]
    fn bytes_that_are_no_utf8_and_a_bom_shift_nothing() {
        let body =
            b"\xef\xbb\xbf<response><returncode>SUCCESS</returncode><version>\xff\xfe</version>\
            <meetings><meeting>\xff</meeting></meetings></response>";
        let answer = read(body, &MEETINGS).unwrap();
        assert_eq!(&body[answer.items[0].bytes.clone()], b"<meeting>\xff</meeting>");
    }

    #[test]
    fn failures_are_answers() {
        let answer = check(
            "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey></response>",
        );
        assert!(answer.unwrap().failed_with("notFound"));
    }

    #[test]
    fn what_bbb_never_sends_is_told_apart() {
        for (body, expected) in [
            ("", Nonsense::NotBbb),
            ("hello", Nonsense::NotBbb),
            ("<html><body>502 Bad Gateway</body></html>", Nonsense::NotBbb),
            ("<!DOCTYPE html><html></html>", Nonsense::NotBbb),
            ("<response><returncode>SUCCESS</returncode>", Nonsense::Truncated),
            ("<response><returncode>SUCC", Nonsense::Truncated),
            ("<response><returncode>SUCCESS</returnc", Nonsense::Truncated),
            ("<response></response>", Nonsense::NoReturnCode),
            ("<response><returncode>MAYBE</returncode></response>", Nonsense::NoReturnCode),
            (
                "<response><!DOCTYPE x><returncode>SUCCESS</returncode></response>",
                Nonsense::Suspicious,
            ),
        ] {
            assert_eq!(check(body).unwrap_err(), expected, "{body}");
        }
        let deep = format!("<response>{}", "<a>".repeat(100));
        assert_eq!(check(&deep).unwrap_err(), Nonsense::Suspicious);
    }

    #[test]
    fn numbers_that_are_none_are_none() {
        let body = |n: &str| {
            format!(
                "<response><returncode>SUCCESS</returncode><meetings><meeting><participantCount>{n}</participantCount></meeting></meetings></response>"
            )
        };
        for (written, expected) in
            [("12", Some(12)), ("1\u{a0}024", Some(1024)), ("", None), ("-3", None), ("x", None)]
        {
            let answer = check(&body(written)).unwrap();
            assert_eq!(answer.items[0].fields.number("participantCount"), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, &MEETINGS);
        }

        #[test]
        fn any_markup_is_survived_and_ranges_stay_inside(
            inside in "(<meetings>|</meetings>|<meeting>|</meeting>|<a>|</a>|<b/>|&amp;|&x;|&|x){0,20}",
        ) {
            let body = format!("<response><returncode>SUCCESS</returncode>{inside}</response>");
            if let Ok(answer) = check(&body) {
                for item in answer.items {
                    prop_assert!(body.get(item.bytes).is_some());
                }
            }
        }
    }
}
