//! An answer before it becomes HTTP: status, type, headers, body.
//!
//! BBB's own failures are HTTP 200 with XML (`bbb-api.md` 2.0); other statuses come with HTML, never XML.

use http::{HeaderName, StatusCode, header};

use crate::xml::{Xml, escape};

const XML: &str = "text/xml;charset=UTF-8";
const JSON: &str = "application/json;charset=UTF-8";
const HTML: &str = "text/html;charset=utf-8";

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: String,
}

impl Reply {
    fn new(status: StatusCode, kind: &str, body: String) -> Self {
        Self { status, headers: vec![(header::CONTENT_TYPE, kind.to_owned())], body }
    }

    /// 200 with XML that is complete.
    pub(crate) fn xml(body: String) -> Self {
        Self::new(StatusCode::OK, XML, body)
    }

    /// 200 with JSON.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::new(StatusCode::OK, JSON, value.to_string())
    }

    /// BBB's failure: key and message.
    pub(crate) fn failed(key: &str, message: &str) -> Self {
        let mut xml = Xml::response("FAILED");
        xml.leaf("messageKey", key).leaf("message", message);
        Self::xml(xml.finish())
    }

    /// BBB's other form of failure, a list of errors without `messageKey`.
    pub(crate) fn failed_list(key: &str, message: &str) -> Self {
        let mut xml = Xml::response("FAILED");
        xml.open("errors").open("error").leaf("key", key).leaf("message", message);
        xml.close("error").close("errors");
        Self::xml(xml.finish())
    }

    /// 200 with plain text.
    pub(crate) fn text(body: &str) -> Self {
        Self::new(StatusCode::OK, "text/plain;charset=UTF-8", body.to_owned())
    }

    /// A page.
    pub(crate) fn html(status: StatusCode, body: String) -> Self {
        Self::new(status, HTML, body)
    }

    /// The application's own error page, as Grails renders one.
    pub(crate) fn grails(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("Error");
        let title = if status == StatusCode::NOT_FOUND { "Page Not Found" } else { reason };
        Self::html(
            status,
            format!(
                "<!doctype html>\n<html>\n<head><title>{title}</title></head>\n<body>\n\
                 <ul class=\"errors\"><li>Error: {title} ({})</li></ul>\n</body>\n</html>\n",
                status.as_u16()
            ),
        )
    }

    /// The page nginx makes when it fails by itself.
    pub(crate) fn nginx(status: StatusCode) -> Self {
        let line = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
        Self::html(
            status,
            format!(
                "<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n\
                 <center><h1>{line}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
            ),
        )
    }

    /// 302 to `location`.
    pub(crate) fn redirect(location: String) -> Self {
        Self {
            status: StatusCode::FOUND,
            headers: vec![(header::LOCATION, location)],
            body: String::new(),
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A small page with a heading and one paragraph.
pub(crate) fn page(title: &str, text: &str) -> String {
    let (title, text) = (escape(title), escape(text));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
    )
}
