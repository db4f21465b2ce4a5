//! BBB's answers as text: elements in the order they are added, white space between them.
//!
//! Refuses what BBB's templates refuse: there is no XML declaration, and element names are not checked,
//! since metadata keys become names unescaped (`bbb-api.md` 2.0).

use std::fmt::Display;

/// XML under construction.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// An answer with this `returncode`, still open.
    pub(crate) fn response(returncode: &str) -> Self {
        let mut xml = Self::default();
        xml.open("response").leaf("returncode", returncode);
        xml
    }

    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.push(&["<", name, ">\n"])
    }

    pub(crate) fn close(&mut self, name: &str) -> &mut Self {
        self.push(&["</", name, ">\n"])
    }

    pub(crate) fn empty(&mut self, name: &str) -> &mut Self {
        self.push(&["<", name, "/>\n"])
    }

    /// `<name>text</name>` with the text escaped.
    pub(crate) fn leaf(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        self.push(&["<", name, ">", &escape(text.as_ref()), "</", name, ">\n"])
    }

    /// As [`Self::leaf`] for what prints itself: numbers and booleans.
    pub(crate) fn value(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.leaf(name, value.to_string())
    }

    /// Text that is XML already.
    pub(crate) fn raw(&mut self, xml: &str) -> &mut Self {
        self.push(&[xml])
    }

    /// The answer, with `</response>` added.
    pub(crate) fn finish(mut self) -> String {
        self.close("response");
        self.text
    }

    fn push(&mut self, parts: &[&str]) -> &mut Self {
        for part in parts {
            self.text.push_str(part);
        }
        self
    }
}

/// `text` with the five characters escaped that XML knows.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Xml;

    #[test]
    fn elements_keep_their_order_and_texts_are_escaped() {
        let mut xml = Xml::response("SUCCESS");
        xml.empty("meetings").leaf("message", "a<b & \"c\" 'd'").value("n", 7);
        assert_eq!(
            xml.finish(),
            "<response>\n<returncode>SUCCESS</returncode>\n<meetings/>\n\
             <message>a&lt;b &amp; &quot;c&quot; &#39;d&#39;</message>\n<n>7</n>\n</response>\n"
        );
    }
}
