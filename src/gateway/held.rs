//! Answers of servers, held back until they are complete and known to be BBB's, so that a front end never gets
//! half an answer or a proxy's HTML page (design rule 7). Larger ones are streamed from the bound on.

use bytes::{Bytes, BytesMut};

use crate::bbb::reply::Format;
use crate::bbb::xml::{self, Answer, Nonsense, Wanted};

/// More than any answer about one meeting with a few hundred people in it; kept per call under way.
const HELD_BYTES_MAX: usize = 256 * 1024;

const WANTED: Wanted =
    Wanted { fields: &["internalMeetingID", "createTime"], list: None, item_fields: &[] };

/// What has been kept of one answer.
#[derive(Debug, Default)]
pub(crate) enum Held {
    /// Nothing yet.
    #[default]
    Empty,
    /// This much; the client has at most the header.
    Holding(BytesMut),
    /// The client has some of the body.
    Streaming,
}

/// What to do with a chunk.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send nothing yet.
    Wait,
    /// Send this; more follows.
    Stream(Bytes),
    /// Send this: the whole answer, or the rest of one that was too large to hold.
    Done(Bytes, Option<Answer>),
}

impl Held {
    /// Takes the next chunk; `end`: it is the last.
    pub(crate) fn take(
        &mut self,
        chunk: Option<Bytes>,
        end: bool,
        format: Format,
    ) -> Result<Next, Nonsense> {
        let chunk = chunk.unwrap_or_default();
        let mut held = match std::mem::replace(self, Self::Streaming) {
            Self::Streaming if end => return Ok(Next::Done(chunk, None)),
            Self::Streaming => return Ok(Next::Stream(chunk)),
            Self::Holding(held) => held,
            Self::Empty => BytesMut::new(),
        };
        held.extend_from_slice(&chunk);
        if end {
            let body = held.freeze();
            let answer = match read(&body, format) {
                Ok(answer) => answer,
                Err(nonsense) => {
                    *self = Self::Empty;
                    return Err(nonsense);
                }
            };
            return Ok(Next::Done(body, answer));
        }
        if held.len() > HELD_BYTES_MAX {
            return Ok(Next::Stream(held.freeze()));
        }
        *self = Self::Holding(held);
        Ok(Next::Wait)
    }

    /// Whether the client has nothing of the body yet.
    pub(crate) fn is_unsent(&self) -> bool {
        !matches!(self, Self::Streaming)
    }
}

/// JSON answers are only checked for being an object: nothing is learned from them.
fn read(body: &[u8], format: Format) -> Result<Option<Answer>, Nonsense> {
    match format {
        Format::Xml => xml::read(body, &WANTED).map(Some),
        Format::Json if body.trim_ascii_start().starts_with(b"{") => Ok(None),
        // Missing parameters are answered in XML on these calls too.
        Format::Json => xml::read(body, &WANTED).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "<response><returncode>SUCCESS</returncode><createTime>17</createTime></response>";

    fn bytes(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn nothing_is_sent_before_the_end() {
        let mut held = Held::default();
        assert!(matches!(held.take(bytes(&GOOD[..20]), false, Format::Xml), Ok(Next::Wait)));
        assert!(held.is_unsent());
        let Ok(Next::Done(body, Some(answer))) = held.take(bytes(&GOOD[20..]), true, Format::Xml)
        else {
            panic!()
        };
        assert_eq!(body, GOOD);
        assert_eq!(answer.fields.number("createTime"), Some(17));
    }

    #[test]
    fn the_last_chunk_may_be_empty() {
        let mut held = Held::default();
        held.take(bytes(GOOD), false, Format::Xml).unwrap();
        assert!(
            matches!(held.take(None, true, Format::Xml), Ok(Next::Done(body, _)) if body == GOOD)
        );
    }

    #[test]
    fn nonsense_never_leaves() {
        for nonsense in ["", "<html></html>", &GOOD[..40], "<response></response>"] {
            let mut held = Held::default();
            assert!(held.take(bytes(nonsense), true, Format::Xml).is_err(), "{nonsense}");
            assert!(held.is_unsent());
        }
    }

    #[test]
    fn what_is_too_large_to_hold_is_streamed() {
        let mut held = Held::default();
        let large = "x".repeat(HELD_BYTES_MAX);
        assert!(matches!(held.take(bytes(&large), false, Format::Xml), Ok(Next::Wait)));
        let Ok(Next::Stream(body)) = held.take(bytes("y"), false, Format::Xml) else { panic!() };
        assert_eq!(body.len(), HELD_BYTES_MAX + 1);
        assert!(!held.is_unsent());
        assert!(
            matches!(held.take(bytes("z"), true, Format::Xml), Ok(Next::Done(body, None)) if body == "z")
        );
    }

    #[test]
    fn text_track_answers_are_json_or_a_failure_in_xml() {
        for good in [" {\"response\":{}}", GOOD] {
            assert!(Held::default().take(bytes(good), true, Format::Json).is_ok());
        }
        assert!(Held::default().take(bytes("<html>"), true, Format::Json).is_err());
    }
}
