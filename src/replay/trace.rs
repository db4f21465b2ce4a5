//! Traces: what happened on a day, one event a line, `time_s,event,meeting,people,video`.
//!
//! `create` makes the meeting; `join` brings `people` with `video` cameras, `leave` takes them away; `end` ends
//! the meeting. `people` and `video` of `create` and `end` mean nothing. Times never go back. Names with commas
//! or quotes are quoted as usual in CSV. Blank lines and lines that begin with `#` are passed over.

use std::collections::HashMap;
use std::path::Path;

use crate::config::problem::{Place, Problems};

/// All of a trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The names of its meetings; events say the place in this list.
    pub names: Vec<String>,
    /// In order of time.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// When, as in the trace.
    pub at_s: f64,
    /// The same in milliseconds.
    pub at_ms: u64,
    /// To which meeting, by its place in [`Trace::names`].
    pub meeting: usize,
    /// What.
    pub kind: Kind,
}

/// What happens to meetings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A front end asks for it.
    Create,
    /// People come.
    Join {
        /// How many.
        people: u32,
        /// Cameras that they publish.
        cameras: u32,
    },
    /// People go.
    Leave {
        /// How many.
        people: u32,
        /// Cameras that go with them.
        cameras: u32,
    },
    /// It ends.
    End,
}

/// The first line.
pub const HEADER: &str = "time_s,event,meeting,people,video";
/// What a line looks like, for messages.
const EXAMPLE: &str = "a line like 28800.5,join,room-7,3,1";
/// More mistakes than this are of one kind.
const PROBLEMS_MAX: usize = 20;
/// More at once are a slip of the pen.
const PEOPLE_MAX: u32 = 100_000;
/// About 300 years.
const TIME_MAX_S: f64 = 1e10;

impl Trace {
    /// Reads a trace; `path` is what messages call it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut reader = Reader {
            place: Place::file(path),
            line: 0,
            problems: Problems::default(),
            places: HashMap::new(),
            trace: Self::default(),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut headed = false;
        for (number, line) in (1..).zip(text.lines()) {
            reader.line = number;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !std::mem::replace(&mut headed, true) {
                reader.header(line);
            } else if let Some(event) = reader.event(line) {
                reader.trace.events.push(event);
            }
            if reader.problems.iter().count() >= PROBLEMS_MAX {
                break;
            }
        }
        if !headed {
            reader.problems.add(&reader.place, "there is nothing in this trace", HEADER);
        }
        if reader.problems.is_empty() { Ok(reader.trace) } else { Err(reader.problems) }
    }
}

struct Reader {
    place: Place,
    line: u64,
    problems: Problems,
    places: HashMap<String, usize>,
    trace: Trace,
}

impl Reader {
    fn wrong(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        self.problems.add(&self.place.at(self.line, 0), what, instead);
    }

    fn header(&mut self, line: &str) {
        let found: String = line.to_ascii_lowercase().split_whitespace().collect();
        if found != HEADER {
            self.wrong("a trace begins with the names of its columns", HEADER);
        }
    }

    fn event(&mut self, line: &str) -> Option<Event> {
        let Some(cells) = cells(line) else {
            self.wrong("a quote is opened and not closed", EXAMPLE);
            return None;
        };
        let [time, event, meeting, rest @ ..] = cells.as_slice() else {
            self.wrong("this line has too few columns", EXAMPLE);
            return None;
        };
        if rest.len() > 2 {
            self.wrong(
                "this line has too many columns",
                format!("{EXAMPLE}; a name with commas in double quotes"),
            );
            return None;
        }
        let people = rest.first().map_or("", String::as_str);
        let cameras = rest.get(1).map_or("", String::as_str);
        let at_s = self.time(time)?;
        let kind = self.kind(event, people, cameras)?;
        if meeting.is_empty() {
            self.wrong("`meeting` is empty", "any name that is the same in all its events");
            return None;
        }
        let next = self.trace.names.len();
        let place = *self.places.entry(meeting.clone()).or_insert(next);
        if place == next {
            self.trace.names.push(meeting.clone());
        }
        let at_ms = (at_s * 1000.0).round() as u64;
        Some(Event { at_s, at_ms, meeting: place, kind })
    }

    fn time(&mut self, text: &str) -> Option<f64> {
        let time = text.parse().ok().filter(|time| (0.0..=TIME_MAX_S).contains(time));
        let Some(time) = time else {
            let what = format!("`time_s` is {}", shown(text));
            self.wrong(what, "seconds from 0 on, like 28800 or 28800.5");
            return None;
        };
        if let Some(before) = self.trace.events.last().map(|event| event.at_s).filter(|t| *t > time)
        {
            let what = format!("`time_s` goes back, from {before} to {time}");
            self.wrong(what, format!("{before} or later: lines are in order of time"));
            return None;
        }
        Some(time)
    }

    fn kind(&mut self, event: &str, people: &str, cameras: &str) -> Option<Kind> {
        match event.to_ascii_lowercase().as_str() {
            "create" => Some(Kind::Create),
            "end" => Some(Kind::End),
            event @ ("join" | "leave") => {
                let one = self.count("people", people, "how many people, like 1")?;
                let cameras = match cameras {
                    "" => 0,
                    text => self.count("video", text, "how many cameras, 0 for none")?,
                };
                Some(if event == "join" {
                    Kind::Join { people: one, cameras }
                } else {
                    Kind::Leave { people: one, cameras }
                })
            }
            _ => {
                let what = format!("`event` is {}", shown(event));
                self.wrong(what, "create, join, leave or end");
                None
            }
        }
    }

    fn count(&mut self, column: &str, text: &str, instead: &str) -> Option<u32> {
        // Some tools write whole numbers as 3.0.
        let number: Option<f64> = text.parse().ok();
        let whole = number.filter(|number| {
            number.fract() == 0.0 && (0.0..=f64::from(PEOPLE_MAX)).contains(number)
        });
        if whole.is_none() {
            let what = format!("`{column}` is {}", shown(text));
            self.wrong(what, format!("{instead}, at most {PEOPLE_MAX}"));
        }
        whole.map(|number| number as u32)
    }
}

/// A wrong value as far as it fits a message.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(30).collect();
    if text.is_empty() { "empty".to_owned() } else { format!("`{}`", short.escape_debug()) }
}

/// The cells of a line, without quotes and blanks around them; `None` if a quote stays open.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted || cell.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
    }
    cells.push(cell.trim().to_owned());
    (!quoted).then_some(cells)
}

/// A cell as CSV wants it.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> Result<Trace, Problems> {
        Trace::parse(&format!("{HEADER}\n{lines}"), Path::new("day.csv"))
    }

    #[test]
    fn events_in_order() {
        let trace = parse(
            "0,create,a,,\r\n\n# a comment\n1.5,join,a,3,1\n1.5,create,\"b, \"\"c\"\"\",0,0\n\
             60,LEAVE, a ,2.0,\n61,end,a\n",
        )
        .unwrap();
        assert_eq!(trace.names, ["a", "b, \"c\""]);
        let kinds: Vec<_> =
            trace.events.iter().map(|event| (event.at_ms, event.meeting, event.kind)).collect();
        assert_eq!(
            kinds,
            [
                (0, 0, Kind::Create),
                (1_500, 0, Kind::Join { people: 3, cameras: 1 }),
                (1_500, 1, Kind::Create),
                (60_000, 0, Kind::Leave { people: 2, cameras: 0 }),
                (61_000, 0, Kind::End),
            ]
        );
        for name in &trace.names {
            assert_eq!(cells(&quoted(name)).unwrap().join(""), *name);
        }
    }

    #[test]
    fn bad_lines_say_where_and_what_to_write() {
        let problems = parse(
            "10,create,a,,\n9,create,b,,\nx,create,b,,\n-1,end,b\n11,jion,b,1,0\n12,join,b,,0\n\
             13,join,b,1.5,0\n14,join,b,1,-1\n15,join,,1,0\n16,join\n17,join,a,b,1,0\n18,join,\"a,1,0\n\
             NaN,end,a\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(problems.to_string(), @r"
        day.csv:3: `time_s` goes back, from 10 to 9
          write instead: 10 or later: lines are in order of time
        day.csv:4: `time_s` is `x`
          write instead: seconds from 0 on, like 28800 or 28800.5
        day.csv:5: `time_s` is `-1`
          write instead: seconds from 0 on, like 28800 or 28800.5
        day.csv:6: `event` is `jion`
          write instead: create, join, leave or end
        day.csv:7: `people` is empty
          write instead: how many people, like 1, at most 100000
        day.csv:8: `people` is `1.5`
          write instead: how many people, like 1, at most 100000
        day.csv:9: `video` is `-1`
          write instead: how many cameras, 0 for none, at most 100000
        day.csv:10: `meeting` is empty
          write instead: any name that is the same in all its events
        day.csv:11: this line has too few columns
          write instead: a line like 28800.5,join,room-7,3,1
        day.csv:12: this line has too many columns
          write instead: a line like 28800.5,join,room-7,3,1; a name with commas in double quotes
        day.csv:13: a quote is opened and not closed
          write instead: a line like 28800.5,join,room-7,3,1
        day.csv:14: `time_s` is `NaN`
          write instead: seconds from 0 on, like 28800 or 28800.5
        ");
    }

    #[test]
    fn the_first_line_names_the_columns() {
        let wrong = |text: &str| Trace::parse(text, Path::new("day.csv")).unwrap_err().to_string();
        insta::assert_snapshot!(wrong("0,create,a,,\n"), @r"
        day.csv:1: a trace begins with the names of its columns
          write instead: time_s,event,meeting,people,video
        ");
        insta::assert_snapshot!(wrong("\n"), @r"
        day.csv: there is nothing in this trace
          write instead: time_s,event,meeting,people,video
        ");
        let many = wrong(&format!("{HEADER}\n{}", "x\n".repeat(1000)));
        assert_eq!(many.matches("write instead").count(), PROBLEMS_MAX);
    }
}
