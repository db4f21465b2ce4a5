//! The numbers as a page.

use std::fmt::Write;
use std::time::Duration;

use crate::day::Habit;

#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

struct Row {
    name: &'static str,
    people: Vec<f64>,
    of_knowing: Vec<f64>,
    of_foreseeing: Vec<f64>,
}

impl Table {
    /// One day's most people on one server; `knowing` and `foreseeing` are what it is measured against.
    pub(crate) fn note(&mut self, name: &'static str, people: f64, knowing: f64, foreseeing: f64) {
        let (of_knowing, of_foreseeing) = (vec![people / knowing], vec![people / foreseeing]);
        self.row(Row { name, people: vec![people], of_knowing, of_foreseeing });
    }

    /// Adds the days of another one.
    pub(crate) fn take(&mut self, other: Self) {
        other.0.into_iter().for_each(|row| self.row(row));
    }

    fn row(&mut self, new: Row) {
        let Some(row) = self.0.iter_mut().find(|row| row.name == new.name) else {
            return self.0.push(new);
        };
        row.people.extend(new.people);
        row.of_knowing.extend(new.of_knowing);
        row.of_foreseeing.extend(new.of_foreseeing);
    }

    /// One row for each scheduler.
    fn rows(&self, text: &mut String) {
        for row in &self.0 {
            let (people, _, _) = spread(&row.people);
            let (mean, min, max) = spread(&row.of_knowing);
            let (mean2, min2, max2) = spread(&row.of_foreseeing);
            let _ = writeln!(
                text,
                "| {} | {people:.0} | **{mean:.3}** | {min:.2} | {max:.2} | {mean2:.3} | {min2:.2} | \
                 {max2:.2} |",
                row.name
            );
        }
    }
}

const HEAD: &str = "# How evenly meetings are placed

Written by `cargo bench --bench placement`; the generator and the models are in `benches/placement/`.

A school day on 22 servers: eight bells, up to 200 rooms at a time, classes of about 23, small groups, and a heavy tail of \
up to 200 people. Rooms recur every week with other absentees. There are three kinds of days:

* *around the bell*: rooms are opened from a quarter of an hour before the bell to eight minutes after it; people come \
within minutes of it.
* *within a minute*: all rooms are opened in the minute after the bell, and people come in the minutes after that.
* *ahead of the bell*: a front end makes the rooms 2 to 15 minutes before the bell, and nobody comes before it rings. \
Who has not seen a room before knows nothing of its size.

The number that counts is the most people on the hottest server at any time of the day. It is divided by that of a \
scheduler that cannot exist: it *knows sizes*, places each meeting when it is created, like everybody here, and knows how \
many will come to it and to all that run; the better one of two (to the server that will be least full; or where the \
highest point of the meeting's own time stays lowest), chosen anew for each day. 1 is as good as that one.
";

const MORE: &str = "
With learned sizes this is within the goal of 1.05 on all three, and without within that of 1.10 on the first two. Rooms \
made ahead that nobody has seen before are out of reach of it: there is nothing to tell them apart by, and all schedulers \
that do not know sizes are at 1.25 or above. Giving every server equally many of them is then slightly better than \
ours.

## Days around the bell in more detail

Here also divided by a scheduler that *foresees all*: it knows all creates to come, too, and plans the whole day beforehand, \
largest meetings first. Nobody who places at create time can do this: a meeting of 200 that is opened last finds every \
server half full. That also explains why learning gains little on these days: people come soon after each create, so \
whoever counts them knows the sizes almost as early as whoever has learned them, and the peaks are made by large rooms that are \
opened late, which also hit the one who knows sizes. Where creates come before people, learning is what counts.

| scheduler | people | knows sizes = 1: mean | min | max | foresees all = 1: mean | min | max |
|---|---|---|---|---|---|---|---|
";

pub(crate) fn markdown(
    tables: &[(Habit, Table)],
    first: u64,
    count: u64,
    times: &[(&str, (Duration, Duration))],
) -> String {
    let last = first + count - 1;
    let mut text = format!(
        "{HEAD}\nMeans over seeds {first} to {last}, which were not looked at while the model was made:\n\n"
    );
    let names: Vec<&str> = tables.iter().map(|(habit, _)| habit.name()).collect();
    let _ = writeln!(text, "| scheduler | {} |", names.join(" | "));
    let _ = writeln!(text, "|---{}|", "|---".repeat(tables.len()));
    for (at, row) in tables[0].1.0.iter().enumerate() {
        let means = tables.iter().map(|(_, table)| spread(&table.0[at].of_knowing).0);
        let means: Vec<String> = means.map(|mean| format!("{mean:.2}")).collect();
        let _ = writeln!(text, "| {} | {} |", row.name, means.join(" | "));
    }
    text.push_str(MORE);
    tables[0].1.rows(&mut text);
    text.push_str(
        "\nOne of these days:\n\n![people per server over a day](placement.svg)\n\n\
         ## How long a decision takes\n\n1,000 servers, 100,000 meetings, all of them young; one claim, with \
         its reservation and its explanation.\n\n| policy | median | slowest of a hundred |\n|---|---|---|\n",
    );
    for (name, (median, slow)) in times {
        let us = |time: &Duration| time.as_secs_f64() * 1e6;
        let _ = writeln!(text, "| {name} | {:.0} µs | {:.0} µs |", us(median), us(slow));
    }
    text
}

fn spread(numbers: &[f64]) -> (f64, f64, f64) {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    (mean, min, numbers.iter().copied().fold(0.0, f64::max))
}
