//! An access log as a trace: what front ends did on a day, without the names of meetings.
//!
//! Read are the access log of tinyscale as JSON, one object a line, and combined logs whose requests still have
//! their query, as a web server in front of another balancer writes them. Everything else is passed over and
//! counted. An access log knows who came and not who left: a meeting is over when it is ended, when somebody is told
//! that it is not there, or when nothing has been heard of it for long.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::fmt::strtime;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Meetings that are open at the same time; beyond it the one that was quiet longest is over.
const OPEN_MAX: usize = 200_000;
const DAY_MS: i64 = 86_400_000;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    at_ms: i64,
    act: Act,
    /// The hash of the meeting's ID.
    meeting: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Join,
    /// Whether it is there was asked, and it is.
    Alive,
    /// It was ended, or is not there.
    Over,
}

/// What came of a log, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines in all.
    pub lines: u64,
    /// Lines that say nothing about a meeting.
    pub foreign: u64,
    /// Rows of the trace.
    pub rows: u64,
    /// Meetings that nobody ended, as far as the log knows.
    pub faded: u64,
}

/// Turns lines of a log into rows of a trace, in order of time.
#[derive(Debug)]
pub struct LogReader {
    /// After this long without a word a meeting is over.
    quiet_ms: i64,
    /// Midnight before the first line: times of the trace are times of that day.
    midnight_ms: Option<i64>,
    now_ms: i64,
    open: HashMap<String, i64>,
    by_age: BTreeSet<(i64, String)>,
    counts: Counts,
}

impl LogReader {
    /// One that takes meetings for over after `quiet_ms` of silence.
    pub fn new(quiet_ms: u64) -> Self {
        Self {
            quiet_ms: i64::try_from(quiet_ms).unwrap_or(i64::MAX),
            midnight_ms: None,
            now_ms: i64::MIN,
            open: HashMap::new(),
            by_age: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a line in and gives the rows that are certain now, each with its line end.
    pub fn line(&mut self, line: &str, rows: &mut String) {
        self.counts.lines += 1;
        let Some(entry) = entry(line.trim()) else {
            self.counts.foreign += 1;
            return;
        };
        self.midnight_ms.get_or_insert(entry.at_ms - entry.at_ms.rem_euclid(DAY_MS));
        // Calls are written down when they are over, and those that took long come late.
        self.now_ms = self.now_ms.max(entry.at_ms);
        while let Some((heard_ms, meeting)) = self.by_age.first().cloned()
            && (heard_ms.saturating_add(self.quiet_ms) <= self.now_ms || self.open.len() > OPEN_MAX)
        {
            self.counts.faded += 1;
            let at_ms = heard_ms.saturating_add(self.quiet_ms).min(self.now_ms);
            self.close(&meeting);
            self.row(at_ms, "end", &meeting, ",", rows);
        }
        self.happen(entry, rows);
    }

    fn happen(&mut self, Entry { act, meeting, .. }: Entry, rows: &mut String) {
        let now_ms = self.now_ms;
        let known = self.open.contains_key(&meeting);
        match act {
            Act::Create => self.row(now_ms, "create", &meeting, ",", rows),
            // Made before the log begins.
            Act::Join if !known => self.row(now_ms, "create", &meeting, ",", rows),
            Act::Join | Act::Alive | Act::Over => {}
        }
        match act {
            Act::Join => self.row(now_ms, "join", &meeting, "1,", rows),
            Act::Over if known => self.row(now_ms, "end", &meeting, ",", rows),
            Act::Create | Act::Alive | Act::Over => {}
        }
        if act == Act::Over {
            self.close(&meeting);
        } else if known || act != Act::Alive {
            self.close(&meeting);
            self.by_age.insert((now_ms, meeting.clone()));
            self.open.insert(meeting, now_ms);
        }
    }

    fn close(&mut self, meeting: &str) {
        if let Some(heard_ms) = self.open.remove(meeting) {
            self.by_age.remove(&(heard_ms, meeting.to_owned()));
        }
    }

    fn row(&mut self, at_ms: i64, event: &str, meeting: &str, rest: &str, rows: &mut String) {
        let since = at_ms - self.midnight_ms.unwrap_or(at_ms);
        let (seconds, ms) = (since / 1000, since % 1000);
        rows.push_str(&format!("{seconds}.{ms:03},{event},{meeting},{rest}\n"));
        self.counts.rows += 1;
    }

    /// What came of it so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

fn entry(line: &str) -> Option<Entry> {
    if line.starts_with('{') { of_json(line) } else { of_combined(line) }
}

/// `{"time": "2026-11-28T07:00:00.1Z", "call": "create", "meeting": "1a2b3c4d", "result": "SUCCESS", ..}`
fn of_json(line: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(line).ok()?;
    let word = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str());
    let meeting = word(&["meeting", "meeting_hash"])?;
    if !(1..=64).contains(&meeting.len()) || !meeting.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let time = ["time", "ts", "timestamp"].iter().find_map(|name| value.get(name))?;
    let at_ms = match time {
        Value::String(text) => text.parse::<Timestamp>().ok()?.as_millisecond(),
        Value::Number(seconds) => (seconds.as_f64().filter(|s| *s >= 0.0)? * 1000.0) as i64,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let status = value.get("status").and_then(Value::as_u64).unwrap_or(200);
    let result = word(&["result", "result_key", "key"]).unwrap_or_default();
    Some(Entry { at_ms, act: act(word(&["call"])?, result, status)?, meeting: meeting.to_owned() })
}

/// `192.0.2.1 - - [28/Nov/2026:07:00:00 +0100] "GET /bigbluebutton/api/create?meetingID=.. HTTP/1.1" 200 812`
fn of_combined(line: &str) -> Option<Entry> {
    let (_, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    let at = strtime::parse("%d/%b/%Y:%H:%M:%S %z", time).ok()?.to_timestamp().ok()?;
    let (_, rest) = rest.split_once('"')?;
    let (request, rest) = rest.split_once('"')?;
    let target = request.split(' ').nth(1)?;
    let status = rest.split_whitespace().next()?.parse().ok()?;
    let (path, query) = target.split_once('?')?;
    let (_, call) = path.split_once("/bigbluebutton/api")?;
    let id = query.split('&').find_map(|pair| pair.strip_prefix("meetingID="))?;
    let meeting = hex::encode(&Sha256::digest(id.as_bytes())[..8]);
    Some(Entry {
        at_ms: at.as_millisecond(),
        act: act(call.trim_matches('/'), "", status)?,
        meeting,
    })
}

/// What a call did, by its answer; an unknown one counts as good.
fn act(call: &str, result: &str, status: u64) -> Option<Act> {
    let sent_on = (300..400).contains(&status);
    let failed = status >= 400 || FAILURES.iter().any(|key| result.eq_ignore_ascii_case(key));
    match call {
        "create" if !failed => Some(Act::Create),
        "join" if sent_on && !failed => Some(Act::Join),
        "end" if !failed => Some(Act::Over),
        "end" | "getMeetingInfo" if result == "notFound" => Some(Act::Over),
        "getMeetingInfo" if !failed => Some(Act::Alive),
        _ => None,
    }
}

/// Keys of answers after which nothing has happened.
const FAILURES: [&str; 18] = [
    "FAILED",
    "checksumError",
    "idNotUnique",
    "internalError",
    "serverUnavailable",
    "serverTagUnavailable",
    "notFound",
    "invalidMeetingIdentifier",
    "missingParamMeetingID",
    "missingParamFullName",
    "validationError",
    "sizeError",
    "nullError",
    "emptyError",
    "unsupportedRequest",
    "invalidPassword",
    "mismatchCreateTimeParam",
    "requestRefused",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> (String, Counts) {
        let mut reader = LogReader::new(3_600_000);
        let mut rows = String::new();
        lines.lines().for_each(|line| reader.line(line, &mut rows));
        (rows, reader.counts())
    }

    #[test]
    fn a_log_in_json_becomes_a_trace() {
        let (rows, counts) = read(
            r#"{"time":"2026-11-28T08:00:00.250Z","call":"create","meeting":"aa11","result":"SUCCESS","status":200}
{"time":"2026-11-28T08:00:01Z","call":"join","meeting":"aa11","status":302}
{"time":"2026-11-28T08:00:00Z","call":"join","meeting":"aa11","status":302,"more":[1]}
{"time":"2026-11-28T08:00:02Z","call":"join","meeting":"bb22","status":302}
{"time":"2026-11-28T08:00:03Z","call":"create","meeting":"cc33","result":"internalError","status":200}
{"time":"2026-11-28T08:00:03Z","call":"getMeetings","status":200}
not a line of ours {
{"time":"2026-11-28T08:30:00Z","call":"getMeetingInfo","meeting":"bb22","status":200}
{"time":"2026-11-28T08:45:00Z","call":"end","meeting":"aa11","result":"sentEndMeetingRequest","status":200}
{"time":1795860900.5,"call":"create","meeting":"dd44","status":200}"#,
        );
        insta::assert_snapshot!(rows, @"
        28800.250,create,aa11,,
        28801.000,join,aa11,1,
        28801.000,join,aa11,1,
        28802.000,create,bb22,,
        28802.000,join,bb22,1,
        31500.000,end,aa11,,
        34200.000,end,bb22,,
        36900.500,create,dd44,,
        ");
        let Counts { lines, foreign, rows, faded } = counts;
        assert_eq!((lines, foreign, rows, faded), (10, 3, 8, 1));
    }

    #[test]
    fn a_combined_log_with_queries_becomes_one_without_ids() {
        let line = |second: u32, call: &str, status: u16| {
            format!(
                "192.0.2.7 - - [28/Nov/2026:07:00:{second:02} +0100] \"GET /bigbluebutton/api/{call}&checksum=0 \
                 HTTP/1.1\" {status} 812 \"-\" \"curl\"\n"
            )
        };
        let (rows, counts) = read(
            &[
                line(0, "create?name=x&meetingID=Mathe+7b", 200),
                line(1, "join?meetingID=Mathe+7b&fullName=Ada", 302),
                line(2, "join?meetingID=Mathe+7b&fullName=Ben", 200),
                line(9, "end?meetingID=Mathe+7b", 200),
                "192.0.2.7 - - [28/Nov/2026:07:00:10 +0100] \"GET / HTTP/1.1\" 200 1\n".to_owned(),
            ]
            .concat(),
        );
        assert_eq!(counts.foreign, 2);
        assert!(!rows.contains("Mathe") && !rows.contains("Ada"), "{rows}");
        let events: Vec<&str> = rows.lines().map(|row| row.split(',').nth(1).unwrap()).collect();
        assert_eq!(events, ["create", "join", "end"]);
        assert!(rows.starts_with("21600.000,create,"), "{rows}");
    }

    #[test]
    fn what_it_writes_is_a_trace() {
        let (rows, _) = read(
            "{\"time\":\"2026-11-28T08:00:00Z\",\"call\":\"join\",\"meeting\":\"a1\",\"status\":302}",
        );
        let text = format!("{}\n{rows}", crate::replay::trace::HEADER);
        let trace = crate::replay::trace::Trace::parse(&text, std::path::Path::new("t")).unwrap();
        assert_eq!((trace.names.len(), trace.events.len()), (1, 2));
    }
}
