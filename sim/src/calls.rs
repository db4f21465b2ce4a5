//! The record of every call a server received, bounded.
//!
//! Refuses to judge: a call is written down before anything is done with it, faults included.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use http::HeaderMap;

use crate::params::Params;

/// One received request.
#[derive(Debug, Clone)]
pub struct ReceivedCall {
    /// Order of arrival at this server, from 1.
    pub number: u64,
    /// `GET`, `POST` ..
    pub method: String,
    /// The call: `create`, `hooks/list` .., `index`, `client`, `rtt-check`, `graphql`, or the path of anything else.
    pub name: String,
    /// Path and query exactly as received.
    pub target: String,
    /// Header names in lower case and values, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the checksum was valid; `None` for calls that have none.
    pub checksum: Option<bool>,
}

impl ReceivedCall {
    /// The raw query without `?`, empty if there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of the decoded query parameter `name`.
    pub fn param(&self, name: &str) -> Option<String> {
        Params::parse(self.query()).get(name)
    }

    /// The first value of the header `name` (any case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }
}

/// Header names and values as text; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn header_list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// The last calls, at most as many as configured, and how many there were of each name.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    kept: VecDeque<ReceivedCall>,
    counts: HashMap<String, usize>,
    total: u64,
    max: usize,
}

impl CallLog {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// Counts a call, and keeps what `make` gives for its number if calls are kept at all.
    pub(crate) fn add(&mut self, name: &str, make: impl FnOnce(u64) -> ReceivedCall) {
        self.total += 1;
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < 1000 {
            // Bounded, since any path that a client makes up counts under its own name.
            self.counts.insert(name.to_owned(), 1);
        }
        if self.max == 0 {
            return;
        }
        if self.kept.len() >= self.max {
            self.kept.pop_front();
        }
        self.kept.push_back(make(self.total));
    }

    pub(crate) fn kept(&self) -> Vec<ReceivedCall> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Forgets the calls and counts; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64) -> ReceivedCall {
        ReceivedCall {
            number,
            method: "GET".to_owned(),
            name: "end".to_owned(),
            target: "/bigbluebutton/api/end?meetingID=a+b&x=1".to_owned(),
            headers: vec![("host".to_owned(), "h".to_owned())],
            body: Bytes::new(),
            checksum: None,
        }
    }

    #[test]
    fn old_calls_make_room_and_all_are_counted() {
        let mut log = CallLog::new(2);
        for _ in 0..3 {
            log.add("end", call);
        }
        let numbers: Vec<u64> = log.kept().iter().map(|call| call.number).collect();
        assert_eq!((numbers, log.count("end"), log.count("join")), (vec![2, 3], 3, 0));
    }

    #[test]
    fn parts_of_a_call_are_easy_to_reach() {
        let call = call(1);
        assert_eq!(call.param("meetingID").as_deref(), Some("a b"));
        assert_eq!(call.header("Host"), Some("h"));
        assert_eq!(call.query(), "meetingID=a+b&x=1");
    }
}
