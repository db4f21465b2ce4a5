//! What came of a replay, as files and in words.

use std::fmt::Write;

use crate::replay::trace::{Trace, quoted};
use crate::replay::world::Outcome;

/// `time_s,meeting,server` of every create; an empty server means that it was refused.
pub fn decisions_csv(trace: &Trace, servers: &[String], outcome: &Outcome) -> String {
    let mut csv = "time_s,meeting,server\n".to_owned();
    for placed in &outcome.decisions {
        let meeting = trace.names.get(placed.meeting).map_or("", String::as_str);
        let server =
            placed.server.and_then(|server| servers.get(server)).map_or("", String::as_str);
        let _ = writeln!(csv, "{},{},{}", placed.at_s, quoted(meeting), quoted(server));
    }
    csv
}

/// `time_s,server,people,meetings`: one line for each server at the start, then one whenever it has changed.
pub fn load_csv(servers: &[String], outcome: &Outcome) -> String {
    let mut csv = "time_s,server,people,meetings\n".to_owned();
    for load in &outcome.load {
        let server = servers.get(load.server).map_or("", String::as_str);
        let (people, meetings) = (load.people, load.meetings);
        let _ = writeln!(csv, "{},{},{people},{meetings}", load.at_s, quoted(server));
    }
    csv
}

/// The same in a few lines.
pub fn summary(trace: &Trace, servers: &[String], policy: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    let peak = &outcome.peak;
    let hottest = servers.get(peak.server).map_or("", String::as_str);
    let ratio = if outcome.even > 0.0 { f64::from(peak.people) / outcome.even } else { 1.0 };
    let (creates, refused) = (outcome.decisions.len(), outcome.creates_refused);
    let rows = [
        ("policy", policy.to_owned()),
        ("servers", servers.len().to_string()),
        ("events", trace.events.len().to_string()),
        ("out of order", format!("{} lines, sorted by time", trace.unsorted)),
        ("creates", format!("{creates}, {refused} of them refused")),
        ("joins refused", format!("{} people: their meeting did not run", outcome.joins_refused)),
        ("hottest server", format!("{hottest}, {} people at {} s", peak.people, peak.at_s)),
        ("even share", format!("{:.1} people a server when most were there", outcome.even)),
        ("hottest / even", format!("{ratio:.3}")),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:15} {value}");
    }
    let width = servers.iter().map(|name| name.chars().count()).max().unwrap_or_default().max(6);
    let _ = writeln!(text, "\n{:width$}  most people  most meetings", "server");
    let peaks = outcome.peaks.iter().zip(&outcome.meetings_peaks);
    for (name, (people, meetings)) in servers.iter().zip(peaks) {
        let _ = writeln!(text, "{name:width$}  {people:11}  {meetings:13}");
    }
    text
}
