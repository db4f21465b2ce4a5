//! Traces: what happened on a day, one event a line, `time_s,event,meeting,people,video`.
//!
//! `create` makes the meeting; `join` brings `people` with `video` cameras, `leave` takes them away; `end` ends
//! the meeting. `people` and `video` of `create` and `end` mean nothing; without `people` one comes or goes. The
//! first line names the columns, in any order; others than these are passed over, and so are blank lines and
//! those that begin with `#`. Lines may be in any order, too: they are sorted by time. Names with commas or quotes
//! are quoted as usual in CSV. Read line by line, so that a large file takes no more memory than its events.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::config::problem::{Place, Problems};

/// All of a trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The names of its meetings; events say the place in this list.
    pub names: Vec<String>,
    /// In order of time.
    pub events: Vec<Event>,
    /// How many lines told of an earlier time than a line before them.
    pub unsorted: u64,
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

/// Columns, in the order in which events are taken apart here.
const COLUMNS: [&str; 5] = ["time_s", "event", "meeting", "people", "video"];
/// How many of them a trace must have.
const REQUIRED: usize = 3;

/// The first line.
pub const HEADER: &str = "time_s,event,meeting,people,video";
/// What a line looks like, for messages.
const EXAMPLE: &str = "a line like 28800.5,join,room-7,3,1";
/// More mistakes than this are of one kind.
const PROBLEMS_MAX: usize = 20;
/// More at once are a slip of the pen.
const PEOPLE_MAX: u32 = 100_000;
/// A day of a hundred thousand meetings has fewer; takes 1.2 GB.
const EVENTS_MAX: usize = 30_000_000;
/// Nobody gives rooms longer names.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// About 300 years.
const TIME_MAX_S: f64 = 1e10;

impl Trace {
    /// Reads a trace; `path` is what messages call it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        match Self::read(&mut text.as_bytes(), path) {
            Ok(read) => return read,
            Err(error) => problems.add(&Place::file(path), error.to_string(), HEADER),
        }
        Err(problems)
    }

    /// The same from anything that gives lines.
    pub fn read(input: &mut dyn BufRead, path: &Path) -> io::Result<Result<Self, Problems>> {
        let mut reader = Reader {
            place: Place::file(path),
            line: 0,
            problems: Problems::default(),
            columns: None,
            places: HashMap::new(),
            trace: Self::default(),
        };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if input.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            reader.line += 1;
            if !reader.take(&bytes) || reader.problems.iter().count() >= PROBLEMS_MAX {
                break;
            }
        }
        if reader.columns.is_none() && reader.problems.is_empty() {
            reader.problems.add(&reader.place, "there is nothing in this trace", HEADER);
        }
        let Reader { mut trace, problems, .. } = reader;
        // Stable: what happened at the same moment stays in the order of the lines.
        trace.events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Ok(if problems.is_empty() { Ok(trace) } else { Err(problems) })
    }
}

struct Reader {
    place: Place,
    line: u64,
    problems: Problems,
    /// Which cell of a line each of [`COLUMNS`] is in, and how many cells lines have.
    columns: Option<([Option<usize>; COLUMNS.len()], usize)>,
    places: HashMap<String, usize>,
    trace: Trace,
}

impl Reader {
    fn wrong(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        self.problems.add(&self.place.at(self.line, 0), what, instead);
    }

    /// Takes one line in. False: it is not worth reading on.
    fn take(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() as u64 == LINE_BYTES_MAX {
            self.wrong("this line is too long", EXAMPLE);
            return false;
        }
        let text = String::from_utf8_lossy(bytes);
        // Some tools begin a file with a mark of its encoding.
        let line = text.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            return true;
        }
        let Some(columns) = self.columns else { return self.header(line) };
        if self.trace.events.len() >= EVENTS_MAX {
            let what = format!("this trace has more than {EVENTS_MAX} events");
            self.wrong(what, "a trace of fewer days");
            return false;
        }
        if let Some(event) = self.event(line, columns) {
            let before = self.trace.events.last().map_or(0.0, |event| event.at_s);
            self.trace.unsorted += u64::from(event.at_s < before);
            self.trace.events.push(event);
        }
        true
    }

    /// The first line; without the names of the columns no other line means anything.
    fn header(&mut self, line: &str) -> bool {
        let names: Vec<String> =
            cells(line).unwrap_or_default().iter().map(|name| name.to_ascii_lowercase()).collect();
        let columns = COLUMNS.map(|column| names.iter().position(|name| name == column));
        if columns.iter().take(REQUIRED).any(Option::is_none) {
            self.wrong("a trace begins with the names of its columns", HEADER);
            return false;
        }
        self.columns = Some((columns, names.len()));
        true
    }

    fn event(
        &mut self,
        line: &str,
        (columns, count): ([Option<usize>; COLUMNS.len()], usize),
    ) -> Option<Event> {
        let Some(cells) = cells(line) else {
            self.wrong("a quote is opened and not closed", EXAMPLE);
            return None;
        };
        if cells.len() > count {
            self.wrong(
                "this line has too many columns",
                format!("{EXAMPLE}; a name with commas in double quotes"),
            );
            return None;
        }
        let [time, event, meeting, people, cameras] =
            columns.map(|column| column.and_then(|at| cells.get(at)).map(String::as_str));
        let (Some(time), Some(event), Some(meeting)) = (time, event, meeting) else {
            self.wrong("this line has too few columns", EXAMPLE);
            return None;
        };
        let (people, cameras) = (people.unwrap_or_default(), cameras.unwrap_or_default());
        let at_s = self.time(time)?;
        let kind = self.kind(event, people, cameras)?;
        if meeting.is_empty() {
            self.wrong("`meeting` is empty", "any name that is the same in all its events");
            return None;
        }
        let next = self.trace.names.len();
        let place = *self.places.entry(meeting.to_owned()).or_insert(next);
        if place == next {
            self.trace.names.push(meeting.to_owned());
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
        Some(time)
    }

    fn kind(&mut self, event: &str, people: &str, cameras: &str) -> Option<Kind> {
        match event.to_ascii_lowercase().as_str() {
            "create" => Some(Kind::Create),
            "end" => Some(Kind::End),
            event @ ("join" | "leave") => {
                let one = match people {
                    "" => 1,
                    text => self.count("people", text, "how many people, like 1")?,
                };
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
    fn order_does_not_matter_and_one_is_meant_where_nothing_is_said() {
        let text = "\u{feff}Video,meeting, EVENT ,room,time_s\r\n\
                    ,a,join,x,5\r\n0,b,create,,3\r\n,a,create\r\n";
        let text = text.replace(",a,create\r", ",a,create,,2\r");
        let trace = Trace::parse(&text, Path::new("day.csv")).unwrap();
        let kinds: Vec<_> =
            trace.events.iter().map(|event| (event.at_ms, event.meeting, event.kind)).collect();
        let join = Kind::Join { people: 1, cameras: 0 };
        assert_eq!(kinds, [(2_000, 0, Kind::Create), (3_000, 1, Kind::Create), (5_000, 0, join)]);
        assert_eq!(trace.unsorted, 2);
    }

    #[test]
    fn lines_without_an_end_are_refused() {
        let text = format!("{HEADER}\n0,create,{}", "x".repeat(LINE_BYTES_MAX as usize));
        let problems = Trace::parse(&text, Path::new("day.csv")).unwrap_err();
        assert!(problems.to_string().contains("day.csv:2: this line is too long"), "{problems}");
    }

    #[test]
    fn bad_lines_say_where_and_what_to_write() {
        let problems = parse(
            "10,create,a,,\nx,create,b,,\n-1,end,b\n11,jion,b,1,0\n\
             13,join,b,1.5,0\n14,join,b,1,-1\n15,join,,1,0\n16,join\n17,join,a,b,1,0\n18,join,\"a,1,0\n\
             NaN,end,a\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(problems.to_string(), @r"
        day.csv:3: `time_s` is `x`
          write instead: seconds from 0 on, like 28800 or 28800.5
        day.csv:4: `time_s` is `-1`
          write instead: seconds from 0 on, like 28800 or 28800.5
        day.csv:5: `event` is `jion`
          write instead: create, join, leave or end
        day.csv:6: `people` is `1.5`
          write instead: how many people, like 1, at most 100000
        day.csv:7: `video` is `-1`
          write instead: how many cameras, 0 for none, at most 100000
        day.csv:8: `meeting` is empty
          write instead: any name that is the same in all its events
        day.csv:9: this line has too few columns
          write instead: a line like 28800.5,join,room-7,3,1
        day.csv:10: this line has too many columns
          write instead: a line like 28800.5,join,room-7,3,1; a name with commas in double quotes
        day.csv:11: a quote is opened and not closed
          write instead: a line like 28800.5,join,room-7,3,1
        day.csv:12: `time_s` is `NaN`
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
