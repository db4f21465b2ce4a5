//! One line for each request, as JSON or as Apache and nginx write it. Pure: what a record says is decided by who
//! makes it, how it looks is decided here, and [`writer`] writes it down.
//!
//! A line never holds a query, a checksum, a name of a person or a meeting, or an ID of either (design rule 9).
//! What clients chose freely is left out or reduced to what cannot carry such things.

pub mod writer;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use time::OffsetDateTime;

use crate::config::settings::traffic::{LogAddresses, LogFormat};

/// What a line tells of the program that sent the request.
const USER_AGENT_CHARS_MAX: usize = 80;

/// What became of one request. The fields are described in docs/access-log.md; those that are `None` or empty are
/// left out of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// Its ID, which its server and its client were told.
    pub request_id: String,
    /// Who sent it.
    pub address: Option<IpAddr>,
    /// Its method, or `OTHER`.
    pub method: &'static str,
    /// The path as far as tinyscale knows it, never more and never the query.
    pub path: Cow<'static, str>,
    /// `HTTP/1.1` and the like.
    pub protocol: &'static str,
    /// The status of the answer; 0: none was sent.
    pub status: u16,
    /// How many bytes of body the answer had.
    pub bytes: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// Whose it was.
    pub tenant: Option<Cow<'static, str>>,
    /// Which call it was.
    pub call: Option<String>,
    /// Which server it was for.
    pub server: Option<String>,
    /// The hash of the meeting's ID, as the store has it; the log of decisions shows how it begins.
    pub meeting: Option<String>,
    /// `SUCCESS`, or the `messageKey` of a failure.
    pub result: Option<Cow<'static, str>>,
    /// What was decided: `created`, `existing`, `forwarded`, `redirected`, `all`.
    pub decision: Option<&'static str>,
    /// How many people a create said will come.
    pub people: Option<u32>,
    /// How long the server took.
    pub upstream_ms: Option<u64>,
    /// The program that sent it, as [`program`] shows it.
    pub user_agent: String,
}

/// A record as JSON has it.
#[derive(Serialize)]
struct Line<'r> {
    time: String,
    request_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    method: &'r str,
    path: &'r str,
    protocol: &'r str,
    status: u16,
    bytes: u64,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meeting: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'r str,
}

impl Record {
    /// The line, with its end.
    pub fn line(&self, format: LogFormat, addresses: LogAddresses) -> String {
        let address = self.address.and_then(|address| shown(address, addresses));
        let mut line = match format {
            LogFormat::Json => self.json(address),
            LogFormat::Combined => self.combined(address),
        };
        line.push('\n');
        line
    }

    fn json(&self, address: Option<IpAddr>) -> String {
        let line = Line {
            time: rfc_3339(self.began_unix_ms),
            request_id: &self.request_id,
            address,
            method: self.method,
            path: &self.path,
            protocol: self.protocol,
            status: self.status,
            bytes: self.bytes,
            duration_ms: self.duration_ms,
            tenant: self.tenant.as_deref(),
            call: self.call.as_deref(),
            server: self.server.as_deref(),
            meeting: self.meeting.as_deref(),
            result: self.result.as_deref(),
            decision: self.decision,
            people: self.people,
            upstream_ms: self.upstream_ms,
            user_agent: &self.user_agent,
        };
        // An error means that a map had keys that are no text, and there is no map.
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn combined(&self, address: Option<IpAddr>) -> String {
        let address = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let Self { method, path, protocol, status, bytes, .. } = self;
        let time = common_time(self.began_unix_ms);
        let program = if self.user_agent.is_empty() { "-" } else { &self.user_agent };
        // No Referer: the page that led here may have been opened by a signed link.
        format!(
            "{address} - - [{time}] \"{method} {path} {protocol}\" {status} {bytes} \"-\" \"{program}\""
        )
    }
}

/// As much of `address` as a log may say.
pub fn shown(address: IpAddr, how: LogAddresses) -> Option<IpAddr> {
    match (how, address) {
        (LogAddresses::Full, address) => Some(address),
        (LogAddresses::None, _) => None,
        (LogAddresses::Truncated, IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            Some(Ipv4Addr::new(a, b, c, 0).into())
        }
        (LogAddresses::Truncated, IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into())
        }
    }
}

/// A User-Agent without what tells people apart: the programs and their versions, not what stands in brackets,
/// and nothing but letters, digits and `./_-`.
pub fn program(user_agent: &str) -> String {
    let mut depth = 0_u32;
    let mut kept = String::new();
    for c in user_agent.chars().take(1024) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 && (c.is_ascii_alphanumeric() || "./_-".contains(c)) => kept.push(c),
            ' ' if depth == 0 && !kept.is_empty() && !kept.ends_with(' ') => kept.push(' '),
            _ => {}
        }
        if kept.len() >= USER_AGENT_CHARS_MAX {
            break;
        }
    }
    kept.trim_end().to_owned()
}

fn moment(unix_ms: u64) -> OffsetDateTime {
    let nanoseconds = i128::from(unix_ms) * 1_000_000;
    // An error means a year beyond 9999.
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `2026-11-28T08:05:29.123Z`
fn rfc_3339(unix_ms: u64) -> String {
    let t = moment(unix_ms);
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    let (hour, minute, second, ms) = t.to_hms_milli();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// `28/Nov/2026:08:05:29 +0000`
fn common_time(unix_ms: u64) -> String {
    let t = moment(unix_ms);
    let (year, day, month) = (t.year(), t.day(), t.month().to_string());
    let (hour, minute, second) = t.to_hms();
    let month = month.get(..3).unwrap_or_default();
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            began_unix_ms: 1_796_025_929_123,
            request_id: "0123".to_owned(),
            address: Some("192.0.2.77".parse().unwrap()),
            method: "GET",
            path: "/bigbluebutton/api/create".into(),
            protocol: "HTTP/1.1",
            status: 200,
            bytes: 512,
            duration_ms: 17,
            tenant: Some("default".into()),
            call: Some("create".to_owned()),
            server: Some("bbb1".to_owned()),
            meeting: Some("00ff".to_owned()),
            result: Some("SUCCESS".into()),
            decision: Some("created"),
            people: Some(30),
            upstream_ms: Some(15),
            user_agent: "Moodle/4.5".to_owned(),
        }
    }

    #[test]
    fn a_line_of_json_has_everything() {
        let line = record().line(LogFormat::Json, LogAddresses::Full);
        insta::assert_snapshot!(line.trim_end(), @r#"{"time":"2026-11-30T08:05:29.123Z","request_id":"0123","address":"192.0.2.77","method":"GET","path":"/bigbluebutton/api/create","protocol":"HTTP/1.1","status":200,"bytes":512,"duration_ms":17,"tenant":"default","call":"create","server":"bbb1","meeting":"00ff","result":"SUCCESS","decision":"created","people":30,"upstream_ms":15,"user_agent":"Moodle/4.5"}"#);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = Record { method: "GET", ..Record::default() };
        let line = line.line(LogFormat::Json, LogAddresses::Full);
        insta::assert_snapshot!(line.trim_end(), @r#"{"time":"1970-01-01T00:00:00.000Z","request_id":"","method":"GET","path":"","protocol":"","status":0,"bytes":0,"duration_ms":0}"#);
    }

    #[test]
    fn combined_is_what_other_servers_write() {
        let line = record().line(LogFormat::Combined, LogAddresses::Truncated);
        insta::assert_snapshot!(line.trim_end(), @r#"192.0.2.0 - - [30/Nov/2026:08:05:29 +0000] "GET /bigbluebutton/api/create HTTP/1.1" 200 512 "-" "Moodle/4.5""#);
    }

    #[test]
    fn addresses_are_shown_as_far_as_they_may() {
        let shown = |address: &str, how| {
            shown(address.parse().unwrap(), how).map(|address| address.to_string())
        };
        for (address, expected) in
            [("192.0.2.77", "192.0.2.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::")]
        {
            assert_eq!(shown(address, LogAddresses::Full).as_deref(), Some(address));
            assert_eq!(shown(address, LogAddresses::Truncated).as_deref(), Some(expected));
            assert_eq!(shown(address, LogAddresses::None), None);
        }
    }

    #[test]
    fn of_a_user_agent_the_programs_are_kept() {
        for (given, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
                "Mozilla/5.0 AppleWebKit/537.36 Chrome/120.0",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("a\"b\r\nc\u{e9}", "abc"),
            ("((x) y", ""),
            ("", ""),
        ] {
            assert_eq!(program(given), expected, "{given}");
        }
        assert_eq!(program(&"x".repeat(5000)).len(), USER_AGENT_CHARS_MAX);
    }
}
