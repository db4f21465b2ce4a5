//! Answers that tinyscale gives itself, byte for byte: XML like bbb-web's, JSON for the text-track calls.

use std::borrow::Cow;

use bytes::Bytes;

use crate::bbb::fault::Fault;

/// A complete answer, sent with HTTP status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// How `body` is to be announced.
    pub format: Format,
    /// The body.
    pub body: Bytes,
    /// The `messageKey` of a failure, for logs and metrics.
    pub key: Option<&'static str>,
    /// Its `message`.
    pub message: Option<Cow<'static, str>>,
}

/// What a call is answered in (`bbb-api.md` 2.0, 2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `<response>…</response>`
    #[default]
    Xml,
    /// `{"response":{…}}`
    Json,
}

impl Format {
    /// The Content-Type as bbb-web writes it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml;charset=UTF-8",
            Self::Json => "application/json;charset=UTF-8",
        }
    }
}

impl Reply {
    /// An XML answer with `inside` as the content of `<response>`.
    pub fn xml(inside: &str) -> Self {
        let body = format!("<response>{inside}</response>").into();
        Self { format: Format::Xml, body, key: None, message: None }
    }

    /// A failure in the format that the call is answered in.
    pub fn fault(fault: &Fault, format: Format) -> Self {
        let body = match format {
            Format::Xml => format!(
                "<response><returncode>FAILED</returncode><messageKey>{}</messageKey><message>{}</message></response>",
                fault.key,
                escape(&fault.message)
            ),
            Format::Json => serde_json::json!({"response": {
                "returncode": "FAILED", "messageKey": fault.key, "message": fault.message,
            }})
            .to_string(),
        };
        Self {
            format,
            body: body.into(),
            key: Some(fault.key),
            message: Some(fault.message.clone()),
        }
    }

    /// The version answer (`bbb-api.md` 2.1; `clients.md` M2). GraphQL URLs belong to servers, never here.
    pub fn index() -> Self {
        Self::xml(
            "<returncode>SUCCESS</returncode><version>2.0</version><apiVersion>2.0</apiVersion><bbbVersion></bbbVersion>",
        )
    }

    /// isMeetingRunning of a meeting nobody knows: never `notFound` (`bbb-api.md` 2.4, M17).
    pub fn not_running() -> Self {
        Self::xml("<returncode>SUCCESS</returncode><running>false</running>")
    }

    /// getMeetings of `meetings`, each the bytes of one `<meeting>` element (M19).
    pub fn meetings<'b>(meetings: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut body = b"<response><returncode>SUCCESS</returncode>".to_vec();
        let opened_at = body.len();
        body.extend_from_slice(b"<meetings>");
        let empty = body.len();
        for meeting in meetings {
            body.extend_from_slice(meeting);
        }
        if body.len() == empty {
            body.truncate(opened_at);
            body.extend_from_slice(
                b"<meetings/><messageKey>noMeetings</messageKey><message>no meetings were found on this server</message>",
            );
        } else {
            body.extend_from_slice(b"</meetings>");
        }
        body.extend_from_slice(b"</response>");
        Self { format: Format::Xml, body: body.into(), key: None, message: None }
    }

    /// getRecordings of `recordings`, each the bytes of one `<recording>` element (`bbb-api.md` 5, M20).
    /// `total` counts those of all pages, and is given if the client asked for pages.
    pub fn recordings<'b>(
        recordings: impl IntoIterator<Item = &'b [u8]>,
        total: Option<usize>,
    ) -> Self {
        let mut body = b"<response><returncode>SUCCESS</returncode><recordings>".to_vec();
        let empty = body.len();
        for recording in recordings {
            body.extend_from_slice(recording);
        }
        let none = body.len() == empty;
        body.extend_from_slice(b"</recordings>");
        if let Some(total) = total.filter(|total| *total > 0) {
            body.extend_from_slice(format!("<totalElements>{total}</totalElements>").as_bytes());
        }
        if none {
            body.extend_from_slice(
                b"<messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message>",
            );
        }
        body.extend_from_slice(b"</response>");
        Self { format: Format::Xml, body: body.into(), key: None, message: None }
    }

    /// publishRecordings, deleteRecordings or updateRecordings done; `element` is that call's own.
    pub fn recordings_changed(element: &'static str, value: bool) -> Self {
        Self::xml(&format!("<returncode>SUCCESS</returncode><{element}>{value}</{element}>"))
    }
}

/// Escapes text for XML content and attributes; control characters that XML 1.0 forbids are dropped.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).unwrap()
    }

    #[test]
    fn text_stays_text_in_xml() {
        let escaped = "&lt;a b=&quot;c&quot;&gt; &amp;amp; &#39;\té\r\n";
        assert_eq!(escape("<a b=\"c\"> &amp; '\té\r\n\0\u{1b}\u{7f}"), escaped);
    }

    #[test]
    fn failures_in_both_formats() {
        let fault = Fault::meeting_not_found();
        assert_eq!(
            text(&Reply::fault(&fault, Format::Xml)),
            "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey><message>A meeting with that ID does not exist</message></response>"
        );
        assert_eq!(
            text(&Reply::fault(&fault, Format::Json)),
            r#"{"response":{"message":"A meeting with that ID does not exist","messageKey":"notFound","returncode":"FAILED"}}"#
        );
    }

    #[test]
    fn no_meetings_is_a_success_with_its_key() {
        assert_eq!(
            text(&Reply::meetings([])),
            "<response><returncode>SUCCESS</returncode><meetings/><messageKey>noMeetings</messageKey><message>no meetings were found on this server</message></response>"
        );
    }

    #[test]
    fn meetings_keep_their_bytes() {
        let one: &[u8] = b"<meeting>\n\t<1x>\xff</1x></meeting>";
        assert_eq!(
            &Reply::meetings([one, b"<meeting/>"]).body[..],
            [
                b"<response><returncode>SUCCESS</returncode><meetings>",
                one,
                b"<meeting/></meetings></response>",
            ]
            .concat()
        );
    }

    #[test]
    fn no_recordings_is_a_success_with_its_key() {
        // M20
        assert_eq!(
            text(&Reply::recordings([], Some(0))),
            "<response><returncode>SUCCESS</returncode><recordings></recordings><messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message></response>"
        );
    }

    #[test]
    fn the_total_of_all_pages_follows_the_list() {
        let one: &[u8] = b"<recording>\xff</recording>";
        assert_eq!(
            &Reply::recordings([one], Some(7)).body[..],
            [
                b"<response><returncode>SUCCESS</returncode><recordings>",
                one,
                b"</recordings><totalElements>7</totalElements></response>",
            ]
            .concat()
        );
        let past_the_end = Reply::recordings([], Some(7));
        assert!(
            text(&past_the_end)
                .contains("</recordings><totalElements>7</totalElements><messageKey>noRecordings")
        );
    }
}
