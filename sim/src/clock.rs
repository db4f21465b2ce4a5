//! The wall clock in milliseconds, and BBB's way to print it.
//!
//! The one place of this package that reads the clock. Refuses time zones: a simulated server lives in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as in `createTime`.
#[expect(clippy::disallowed_methods, reason = "this is where the simulator reads the clock")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `ms` as Java's `Date.toString()` prints it in UTC: `Mon Jul 09 17:03:29 UTC 2018`.
pub(crate) fn java_date(ms: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = ms / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

/// Year, month (0 to 11) and day (1 to 31) of the day that is `days` after 1970-01-01.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::java_date;

    #[test]
    fn dates_are_printed_as_java_does() {
        let cases = [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (1_531_155_809_613, "Mon Jul 09 17:03:29 UTC 2018"),
            (1_709_251_199_000, "Thu Feb 29 23:59:59 UTC 2024"),
            (1_715_261_728_123, "Thu May 09 13:35:28 UTC 2024"),
        ];
        for (ms, expected) in cases {
            assert_eq!(java_date(ms), expected);
        }
    }
}
