//! Slides that come in a POST body, with `create` or `insertDocument` (`bbb-api.md` 2.8, 7.1).
//!
//! Refuses to fetch or convert anything; documents are only written down.

use std::sync::Arc;

use http::{StatusCode, header};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::api::create::{MEETING_ID_MISSING, check_meeting_id};
use crate::api::inbound::Inbound;
use crate::node::Node;
use crate::reply::Reply;
use crate::state::meeting::Document;
use crate::xml::Xml;

/// The body is no well-formed XML.
#[derive(Debug)]
pub(crate) struct Malformed;

/// The documents of the body, none if it is no XML body.
pub(crate) fn read(inbound: &Inbound) -> Result<Vec<Document>, Malformed> {
    let kind = inbound.header(&header::CONTENT_TYPE).to_ascii_lowercase();
    let is_xml = kind.starts_with("application/xml") || kind.starts_with("text/xml");
    if !is_xml || inbound.body.is_empty() {
        return Ok(Vec::new());
    }
    parse(&inbound.body)
}

fn parse(body: &[u8]) -> Result<Vec<Document>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    let mut reader = Reader::from_str(text);
    let mut documents = Vec::new();
    let mut depth = 0_usize;
    let mut inside: Option<Document> = None;
    loop {
        match reader.read_event().map_err(|_| Malformed)? {
            Event::Start(tag) => {
                depth += 1;
                if tag.name().as_ref() == "document" {
                    inside = Some(document(&tag)?);
                }
            }
            Event::Empty(tag) if tag.name().as_ref() == "document" => {
                documents.push(document(&tag)?)
            }
            Event::Text(text) => {
                if let Some(document) = &mut inside {
                    document.inline_bytes += text.trim_ascii().len();
                }
            }
            Event::End(tag) => {
                depth = depth.checked_sub(1).ok_or(Malformed)?;
                if tag.name().as_ref() == "document" {
                    documents.extend(inside.take());
                }
            }
            Event::Eof if depth > 0 => return Err(Malformed),
            Event::Eof => return Ok(documents),
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

fn document(tag: &BytesStart<'_>) -> Result<Document, Malformed> {
    let mut document = Document::default();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| Malformed)?;
        let value =
            quick_xml::escape::unescape(&attribute.value).map_err(|_| Malformed)?.into_owned();
        match attribute.key.as_ref() {
            "url" => document.url = Some(value),
            "filename" => document.name = Some(value),
            "name" if document.name.is_none() => document.name = Some(value),
            _ => {}
        }
    }
    Ok(document)
}

pub(crate) fn insert(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let Some(id) = inbound.params.filled("meetingID") else {
        return Reply::failed(MEETING_ID_MISSING.0, MEETING_ID_MISSING.1);
    };
    if let Err((key, message)) = check_meeting_id(&id) {
        return Reply::failed(key, message);
    }
    let documents = read(inbound);
    let mut state = node.state();
    let Some(meeting) = state.meeting_mut(&id) else {
        return outcome("FAILED", &format!("Meeting with id [{id}] not found."));
    };
    match documents {
        Ok(documents) if !documents.is_empty() => {
            meeting.documents.extend(documents);
            outcome("SUCCESS", "Presentation is being uploaded")
        }
        _ => Reply::grails(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// These answers have no `messageKey`.
fn outcome(returncode: &str, message: &str) -> Reply {
    let mut xml = Xml::response(returncode);
    xml.leaf("message", message);
    Reply::xml(xml.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_from_modules() {
        let body = br#"<?xml version="1.0"?><modules><module name="presentation">
            <document url="https://x/a.pdf?a=1&amp;b=2" filename="a.pdf"/>
            <document name="b.pdf">QUJD</document></module></modules>"#;
        let documents = parse(body).unwrap();
        assert_eq!(documents[0].url.as_deref(), Some("https://x/a.pdf?a=1&b=2"));
        assert_eq!(documents[0].name.as_deref(), Some("a.pdf"));
        assert_eq!((documents[1].name.as_deref(), documents[1].inline_bytes), (Some("b.pdf"), 4));
    }

    #[test]
    fn broken_xml_is_malformed() {
        for body in ["<modules>", "<a></b>", "</a>"] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
