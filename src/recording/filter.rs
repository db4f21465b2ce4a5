//! What a getRecordings call asks for, as far as its answers cannot be merged without knowing it.
//!
//! Matching meeting IDs, prefixes, states and metadata is left to the servers, which do it by BBB's own
//! rules; only what one server cannot know is decided here: pages, and whether an answer may be partial.

use crate::bbb::call::Call;
use crate::bbb::query;
use crate::recording::id::Ids;

/// A page of the merged list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many recordings stand before the page.
    pub offset: usize,
    /// How many are on it: 1 to 100.
    pub limit: usize,
}

impl Page {
    /// BBB's rules (`bbb-api.md` 5.1): pages only with a limit that is a number, which is clamped; an
    /// offset that is none, or negative, is 0.
    fn of(call: &Call) -> Option<Self> {
        let number = |name| call.param(name)?.parse::<i32>().ok();
        let limit = usize::try_from(number("limit")?.clamp(1, 100)).ok()?;
        let offset = number("offset").and_then(|offset| usize::try_from(offset).ok());
        Some(Self { offset: offset.unwrap_or(0), limit })
    }
}

/// A getRecordings call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    query: String,
    ids: Option<Ids>,
    states_given: bool,
    page: Option<Page>,
}

impl Filter {
    /// Reads `call`. An empty parameter is an absent one.
    pub fn of(call: &Call) -> Self {
        let params = query::join(call.query(), call.form());
        let is_paging = |param: &query::Param<'_>| ["offset", "limit"].contains(&&*param.name());
        let query = if query::params(&params).any(|param| is_paging(&param)) {
            query::without(&params, is_paging)
        } else {
            params
        };
        Self {
            ids: Ids::of(&query),
            states_given: call.param("state").is_some(),
            page: Page::of(call),
            query,
        }
    }

    /// What every server is asked: the client's parameters byte for byte and in order, those of a form
    /// last, without `offset` and `limit`, which mean nothing to a server that has part of the list.
    pub fn upstream_query(&self) -> &str {
        &self.query
    }

    /// The record IDs asked for; meeting IDs do not count beside them (`bbb-api.md` 5.1).
    pub fn ids(&self) -> Option<&Ids> {
        self.ids.as_ref()
    }

    /// Whether the client said which states it wants.
    pub fn gives_states(&self) -> bool {
        self.states_given
    }

    /// The page asked for.
    pub fn page(&self) -> Option<Page> {
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::samples::{call, call_with_form};

    fn filter(query: &str) -> Filter {
        Filter::of(&call("getRecordings", query))
    }

    #[test]
    fn pages_follow_the_rules_of_bbb() {
        let page = |offset, limit| Some(Page { offset, limit });
        for (query, expected) in [
            ("", None),
            ("offset=5", None),
            ("limit=", None),
            ("limit=ten", None),
            ("limit=99999999999", None),
            ("limit=10", page(0, 10)),
            ("limit=0", page(0, 1)),
            ("limit=-5", page(0, 1)),
            ("limit=1000", page(0, 100)),
            ("limit=10&offset=-3", page(0, 10)),
            ("limit=10&offset=x", page(0, 10)),
            ("offset=20&limit=10", page(20, 10)),
        ] {
            assert_eq!(filter(query).page(), expected, "{query}");
        }
    }

    #[test]
    fn servers_are_asked_what_the_client_asked_but_for_the_page() {
        for (query, expected) in [
            ("", ""),
            ("meetingID=m1,m2", "meetingID=m1,m2"), // GR4
            ("meta_x=%25a%25&&state=any", "meta_x=%25a%25&&state=any"),
            ("recordID=&meetingID=", "recordID=&meetingID="),
            ("a=x+y&offset=1&meetingID=%2f&%6Cimit=2&a=2", "a=x+y&meetingID=%2f&a=2"),
            ("limit=bad", ""),
        ] {
            assert_eq!(filter(query).upstream_query(), expected, "{query}");
        }
    }

    #[test]
    fn a_form_is_asked_in_the_query() {
        let call =
            call_with_form("getRecordings", "a=1", Some("recordID=r1%2Cr2&limit=3&state=any"));
        let filter = Filter::of(&call);
        assert_eq!(filter.upstream_query(), "a=1&recordID=r1%2Cr2&state=any");
        assert_eq!(filter.ids().unwrap().iter().count(), 2);
        assert_eq!(filter.page(), Some(Page { offset: 0, limit: 3 }));
        assert!(filter.gives_states());
    }

    #[test]
    fn empty_parameters_are_absent() {
        let filter = filter("recordID=&meetingID=&state=&limit=&offset=");
        assert_eq!(filter.ids(), None);
        assert!(!filter.gives_states());
    }
}
