//! Times as people at this machine write and read them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::clock;

/// Now, on the clock on the wall.
pub(super) fn now() -> Zoned {
    zoned(clock::unix_s()).unwrap_or_default()
}

/// A time of the API; `None` if no calendar has it.
fn zoned(unix_s: u64) -> Option<Zoned> {
    let at = Timestamp::from_second(i64::try_from(unix_s).ok()?).ok()?;
    Some(at.to_zoned(TimeZone::system()))
}

/// A time of the API for people: `Sat 18:00`, or with the date and seconds.
pub(super) fn shown(unix_s: u64, format: &str) -> String {
    zoned(unix_s).map_or_else(|| "?".to_owned(), |at| at.strftime(format).to_string())
}

/// For `--for`: `2h`, `90m`, `1h 30m`.
pub(super) fn length(text: &str) -> Result<u64, String> {
    let wrong = || "write instead: a time like 2h, 90m or 1h30m".to_owned();
    let length: SignedDuration = text.parse().map_err(|_| wrong())?;
    u64::try_from(length.as_secs()).ok().filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// For `--until`: the next time that the clock shows `18:00`, or that time of a day: `2026-12-24 18:00`.
pub(super) fn end(text: &str, now: &Zoned) -> Result<u64, String> {
    let text = text.trim();
    let wrong = || "write instead: a time like 18:00 or \"2026-12-24 18:00\"".to_owned();
    let zone = now.time_zone();
    // A date with a time reads as a time, too: first the one that says more.
    let at = if let Ok(at) = text.parse::<DateTime>() {
        at.to_zoned(zone.clone()).map_err(|_| wrong())?
    } else {
        let time: Time = text.parse().map_err(|_| wrong())?;
        let on = |day: Date| day.to_datetime(time).to_zoned(zone.clone()).map_err(|_| wrong());
        let today = on(now.date())?;
        if today > *now { today } else { on(now.date().tomorrow().map_err(|_| wrong())?)? }
    };
    if at <= *now {
        return Err("this time has passed".to_owned());
    }
    u64::try_from(at.timestamp().as_second()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        // A zone with summer time, without a database of zones on the machine.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        text.parse::<DateTime>().unwrap().to_zoned(zone).unwrap()
    }

    #[test]
    fn a_time_of_day_is_the_next_one_on_the_wall() {
        for (now, text, end_at) in [
            ("2026-11-28 09:00", "18:00", "2026-11-28 18:00"),
            ("2026-11-28 22:00", "06:00", "2026-11-29 06:00"),
            ("2026-11-28 18:00", "18:00", "2026-11-29 18:00"),
            // The night has an hour more.
            ("2026-10-24 22:00", "06:00", "2026-10-25 06:00"),
            ("2026-11-28 09:00", "2026-12-24 18:00", "2026-12-24 18:00"),
        ] {
            let seconds = u64::try_from(at(end_at).timestamp().as_second()).unwrap();
            assert_eq!(end(text, &at(now)), Ok(seconds), "{now} {text}");
        }
    }

    #[test]
    fn what_is_no_time_to_come_is_refused() {
        let now = at("2026-11-28 09:00");
        for (text, why) in [
            ("2026-11-28 08:59", "has passed"),
            ("tonight", "a time like 18:00"),
            ("25:00", "a time like 18:00"),
            ("", "a time like 18:00"),
        ] {
            assert!(end(text, &now).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn a_length_has_a_unit() {
        for (text, seconds) in [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1s", 1)] {
            assert_eq!(length(text), Ok(seconds), "{text}");
        }
        for text in ["", "2", "-2h", "0s", "soon", "2h ago"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
