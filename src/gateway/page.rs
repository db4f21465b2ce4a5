//! What people see when a join cannot work: one small page without script, image or link, in plain words.
//! Every word of it stands here. Nothing of a request is ever shown, so nothing can be smuggled in.

use crate::bbb::reply::escape;

/// How long somebody waits until the page tries again, in seconds.
const RETRY_S: u32 = 8;

const STYLE: &str = ":root{color-scheme:light dark}body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;\
margin:15vh auto;padding:0 1.5rem}h1{font-size:1.5rem}";

/// Nothing is loaded and nothing runs; the one style is allowed by what it is.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
style-src 'sha256-v47OSCFDOLdFiXQjN6snviwM7Fz6R/LZTNao2tePYfA='; base-uri 'none'; form-action 'none'";

/// One of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) trouble: Trouble,
    pub(crate) language: Language,
    /// Whether the browser asks again by itself; only if that can help.
    pub(crate) retries: bool,
}

/// What is wrong, as far as it concerns the one who wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no such meeting, yet or any more.
    NotOpen,
    /// There is one, but its server does not answer.
    OutOfReach,
}

/// What the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// For everybody.
    English,
    /// For those who ask for it before English.
    German,
}

impl Language {
    /// The first of the languages there are, in the order of an Accept-Language header.
    pub(crate) fn of(accepted: &str) -> Self {
        accepted
            .split(',')
            .find_map(|entry| {
                let tag = entry.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                match tag.split('-').next() {
                    Some("de") => Some(Self::German),
                    Some("en") => Some(Self::English),
                    _ => None,
                }
            })
            .unwrap_or(Self::English)
    }
}

struct Words {
    lang: &'static str,
    title: &'static str,
    text: &'static str,
    retry: &'static str,
}

fn words(page: Page) -> Words {
    match (page.language, page.trouble) {
        (Language::English, Trouble::NotOpen) => Words {
            lang: "en",
            title: "The meeting is not open",
            text: "It has not started yet, or it is over.",
            retry: "This page tries again by itself every few seconds. You need not do anything.",
        },
        (Language::English, Trouble::OutOfReach) => Words {
            lang: "en",
            title: "The meeting cannot be reached right now",
            text: "The server that it runs on does not answer at the moment.",
            retry: "This page tries again by itself every few seconds. You need not do anything.",
        },
        (Language::German, Trouble::NotOpen) => Words {
            lang: "de",
            title: "Die Konferenz ist nicht geöffnet",
            text: "Sie hat noch nicht begonnen oder ist schon zu Ende.",
            retry: "Diese Seite versucht es alle paar Sekunden von selbst noch einmal. Sie müssen \
                    nichts tun.",
        },
        (Language::German, Trouble::OutOfReach) => Words {
            lang: "de",
            title: "Die Konferenz ist gerade nicht erreichbar",
            text: "Der Server, auf dem sie läuft, antwortet im Moment nicht.",
            retry: "Diese Seite versucht es alle paar Sekunden von selbst noch einmal. Sie müssen \
                    nichts tun.",
        },
    }
}

/// The whole document. To try again is to load the same URL again, so that it need not be written down.
pub(crate) fn render(page: Page) -> String {
    let words = words(page);
    let (lang, title, text) = (words.lang, escape(words.title), escape(words.text));
    let (refresh, retry) = if page.retries {
        let refresh = format!("<meta http-equiv=\"refresh\" content=\"{RETRY_S}\">\n");
        (refresh, format!("<p>{}</p>\n", escape(words.retry)))
    } else {
        Default::default()
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n{refresh}<title>{title}</title>\n\
         <style>{STYLE}</style>\n<main role=\"alert\">\n<h1>{title}</h1>\n<p>{text}</p>\n{retry}</main>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn every_page_is_as_it_was_read_last() {
        let mut all = String::new();
        for language in [Language::English, Language::German] {
            for trouble in [Trouble::NotOpen, Trouble::OutOfReach] {
                all.push_str(&render(Page { trouble, language, retries: true }));
            }
        }
        let (trouble, language) = (Trouble::NotOpen, Language::English);
        all.push_str(&render(Page { trouble, language, retries: false }));
        insta::assert_snapshot!(all);
    }

    #[test]
    fn the_policy_allows_the_style_that_is_sent_and_nothing_else() {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "{hash}");
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    }

    #[test]
    fn german_is_for_those_who_prefer_it() {
        for (accepted, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", Language::German),
            ("en-GB,de;q=0.9", Language::English),
            ("fr, DE;q=0.5", Language::German),
            ("fr", Language::English),
            ("", Language::English),
            ("\"><script>", Language::English),
        ] {
            assert_eq!(Language::of(accepted), expected, "{accepted}");
        }
    }
}
