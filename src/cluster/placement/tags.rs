//! Tags as Scalelite has them (`scalelite.md` 1.8): servers carry tags, a create may ask for some in
//! `meta_server-tag`.

use std::sync::Arc;

/// A word on a server, for creates to ask for: letters, digits, `.`, `_`, `-`, and not `none`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// The text is no usable tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 letters, digits, '.', '_' or '-', and not `none`")]
pub struct BadTag;

/// Stands for servers without tags.
const NONE: &str = "none";

impl Tag {
    /// Takes `text` as a tag.
    pub fn new(text: &str) -> Result<Self, BadTag> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let usable = (1..=100).contains(&text.len()) && text != NONE && text.chars().all(allowed);
        if usable { Ok(Self(text.into())) } else { Err(BadTag) }
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a create asks for: `a;b;none` with an optional `!` at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagWish {
    /// Without the `!`.
    text: Arc<str>,
    required: bool,
}

/// Which servers a create may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Those with a tag that was asked for.
    Asked,
    /// Those without tags.
    Untagged,
    /// All: no server is without tags.
    Any,
}

impl TagWish {
    /// Reads `meta_server-tag`; an absent one is empty.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (words, required) = match text.strip_suffix('!') {
            Some(words) => (words.trim(), true),
            None => (text, false),
        };
        Self { text: words.into(), required }
    }

    /// What was asked for, without the `!`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether only servers that were asked for will do. A bare `!` asks for none.
    pub fn is_required(&self) -> bool {
        self.required && !self.text.is_empty()
    }

    /// Whether no tags were asked for and it was not insisted on that.
    fn is_indifferent(&self) -> bool {
        self.text.is_empty() && !self.required
    }

    /// Whether a server with `tags` is one that was asked for.
    pub fn matches(&self, tags: &[Tag]) -> bool {
        self.text.split(';').map(str::trim).any(|word| match word {
            "" => false,
            NONE => tags.is_empty(),
            word => tags.iter().any(|tag| tag.as_str() == word),
        })
    }

    /// The pools to look for a server in, best first. `all_tagged`: no server is without tags, and the
    /// operator lets creates that ask for none use them.
    pub fn pools(&self, all_tagged: bool) -> impl Iterator<Item = Pool> {
        let asked = (!self.text.is_empty()).then_some(Pool::Asked);
        let untagged = (!self.is_required()).then_some(Pool::Untagged);
        let any = all_tagged && (self.is_indifferent() || asked.is_some() && untagged.is_some());
        asked.into_iter().chain(untagged).chain(any.then_some(Pool::Any))
    }
}

impl Pool {
    /// A word for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Untagged => "untagged",
            Self::Any => "any",
        }
    }

    /// Whether a server with `tags` is in it, for a create that wishes `wish`.
    pub fn has(self, tags: &[Tag], wish: &TagWish) -> bool {
        match self {
            Self::Asked => wish.matches(tags),
            Self::Untagged => tags.is_empty(),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(words: &[&str]) -> Vec<Tag> {
        words.iter().map(|word| Tag::new(word).unwrap()).collect()
    }

    #[test]
    fn tags_are_words_and_none_is_not_one() {
        for bad in ["", "none", "a;b", "a!", "a b", &"x".repeat(101)] {
            assert_eq!(Tag::new(bad), Err(BadTag), "{bad}");
        }
    }

    #[track_caller]
    fn check_matches(wish: &str, server: &[&str], expected: bool) {
        assert_eq!(TagWish::parse(wish).matches(&tags(server)), expected, "{wish} of {server:?}");
    }

    #[test]
    fn one_of_the_words_is_enough() {
        check_matches("a", &["a"], true);
        check_matches("a;b!", &["b", "c"], true);
        check_matches(" a ; b ! ", &["b"], true);
        check_matches("a", &["A"], false);
        check_matches("a", &[], false);
        check_matches("a;none", &[], true);
        check_matches("none!", &["a"], false);
        check_matches("", &[], false);
        check_matches(";!", &[], false);
    }

    #[track_caller]
    fn check_pools(wish: &str, all_tagged: bool, expected: &[Pool]) {
        let pools: Vec<Pool> = TagWish::parse(wish).pools(all_tagged).collect();
        assert_eq!(pools, expected, "{wish}");
    }

    #[test]
    fn where_to_look() {
        use Pool::{Any, Asked, Untagged};
        check_pools("", false, &[Untagged]);
        check_pools("!", false, &[Untagged]);
        check_pools("a", false, &[Asked, Untagged]);
        check_pools("a!", false, &[Asked]);
        check_pools("none!", false, &[Asked]);
        check_pools("", true, &[Untagged, Any]);
        check_pools("a", true, &[Asked, Untagged, Any]);
        // Told otherwise.
        check_pools("!", true, &[Untagged]);
        check_pools("none!", true, &[Asked]);
        check_pools("a!", true, &[Asked]);
    }

    #[test]
    fn the_message_gets_the_words_without_the_mark() {
        assert_eq!(TagWish::parse("a;b!").text(), "a;b");
        assert!(TagWish::parse("a;b!").is_required());
        assert!(!TagWish::parse("!").is_required());
    }
}
