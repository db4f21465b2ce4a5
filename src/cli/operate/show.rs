//! Answers of the admin API in words and columns. What is missing in one is shown as nothing: the tinyscale that
//! answers may be another version.

use serde_json::Value;

use crate::cli::operate::until;

/// The columns that `rake status` of Scalelite has, with what they are called here in the cells, and a last one
/// for what else is to be known.
const STATUS: [&str; 9] = [
    "HOSTNAME",
    "STATE",
    "STATUS",
    "MEETINGS",
    "USERS",
    "LARGEST MEETING",
    "VIDEOS",
    "LOAD",
    "TAG",
];

pub(super) fn status(answer: &Value) -> String {
    let mut rows = vec![STATUS.map(str::to_owned).to_vec()];
    for server in list(answer, "servers") {
        let tags: Vec<&str> = list(server, "tags").iter().filter_map(Value::as_str).collect();
        rows.push(vec![
            text(server, "name"),
            text(server, "mode"),
            text(server, "health"),
            text(server, "meetings"),
            text(server, "people"),
            text(server, "largest"),
            text(server, "cameras"),
            server["load"].as_f64().map_or_else(String::new, |load| format!("{load:.1}")),
            tags.join(" "),
            notes(server),
        ]);
    }
    table(&rows)
}

/// What is unusual about a server.
fn notes(server: &Value) -> String {
    let mut notes = Vec::new();
    let end = server["drain"]["until_unix_s"].as_u64();
    if server["drained"] == true {
        notes.push("drained".to_owned());
    } else if server["overdue"] == true {
        notes.push(end.map_or_else(String::new, |end| format!("overdue since {}", day(end))));
    } else if let Some(end) = end {
        notes.push(format!("until {}", day(end)));
    }
    if server["leaving"] == true {
        notes.push("is no longer configured".to_owned());
    }
    if let Some(doubles @ 1..) = server["doubles"].as_u64() {
        notes.push(format!("{doubles} meetings are alive elsewhere, too"));
    }
    notes.join("; ")
}

/// What setting a mode came to.
pub(super) fn set(server: &Value) -> String {
    let (name, left) = (text(server, "name"), left(server));
    match server["mode"].as_str() {
        Some("drain") => {
            let end = server["drain"]["until_unix_s"].as_u64();
            let end = end.map_or_else(String::new, |end| format!(", until {}", day(end)));
            format!("{name} takes no new meetings{end}; {left}")
        }
        Some("serve") => format!("{name} takes new meetings"),
        Some("disable") => format!("{name} is not used; {left}"),
        _ => name,
    }
}

/// What is still on a server.
pub(super) fn left(server: &Value) -> String {
    let (meetings, people) = (text(server, "meetings"), text(server, "people"));
    match server["health"].as_str() {
        Some("down") => format!("it does not answer and had {meetings} meetings, {people} people"),
        _ => format!("{meetings} meetings with {people} people are there"),
    }
}

pub(super) fn events(answer: &Value) -> String {
    let rows = list(answer, "events").iter().rev().map(|event| {
        let at = event["at_unix_s"].as_u64();
        let at = at.map_or_else(String::new, |at| until::shown(at, "%Y-%m-%d %H:%M:%S"));
        vec![at, text(event, "server"), text(event, "kind"), text(event, "text")]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { "nothing happened since the start".to_owned() } else { table(&rows) }
}

pub(super) fn placements(answer: &Value) -> String {
    let mut rows: Vec<Vec<String>> =
        vec![["AGO", "MEETING", "SERVER", "EXPECTED", "REASON", "NEXT"].map(str::to_owned).into()];
    for made in list(answer, "placements").iter().rev() {
        let next = list(made, "next").iter().map(|next| text(next, "server"));
        let expected = made["expected"].as_f64();
        rows.push(vec![
            made["age_s"].as_u64().map_or_else(String::new, ago),
            text(made, "meeting"),
            text(made, "server"),
            expected.map_or_else(String::new, |people| format!("{people:.0}")),
            text(made, "reason"),
            next.collect::<Vec<_>>().join(" "),
        ]);
    }
    if rows.len() == 1 { "no meeting was placed yet".to_owned() } else { table(&rows) }
}

pub(super) fn meeting(found: &Value) -> String {
    let (server, stage, people) =
        (text(found, "server"), text(found, "stage"), text(found, "people"));
    let since = found["known_for_s"].as_u64().map_or_else(String::new, ago);
    format!("on {server}: {stage}, {people} people, known for {since}")
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200.. => format!("{} h", seconds / 3600),
    }
}

/// Precise enough for the end of a drain.
fn day(unix_s: u64) -> String {
    until::shown(unix_s, "%a %d %b %H:%M")
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Columns as wide as their longest cell.
fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in rows {
        let line: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_a_line_of_scalelites_columns() {
        let server = json!({
            "name": "bbb1", "mode": "drain", "health": "up", "meetings": 2, "people": 37, "largest": 30,
            "cameras": 4, "load": 41.234, "tags": ["a", "b"], "drained": true, "doubles": 1,
        });
        let text = status(&json!({ "servers": [server, { "name": "bbb2.example.org" }] }));
        let columns =
            "HOSTNAME          STATE  STATUS  MEETINGS  USERS  LARGEST MEETING  VIDEOS  LOAD  TAG";
        let first = "bbb1              drain  up      2         37     30               4       41.2  a b  \
                     drained; 1 meetings are alive elsewhere, too";
        assert_eq!(text, format!("{columns}\n{first}\nbbb2.example.org\n"));
    }

    #[test]
    fn a_stranger_s_answer_shows_nothing_and_does_no_harm() {
        for answer in [json!(null), json!([]), json!({ "servers": 7 }), json!("x")] {
            assert_eq!(status(&answer).lines().count(), 1);
            assert_eq!(events(&answer), "nothing happened since the start");
            assert_eq!(placements(&answer), "no meeting was placed yet");
            assert!(set(&answer).is_empty());
        }
    }
}
