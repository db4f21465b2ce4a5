//! Durations as operators write them: a whole number and a unit. Refuses bare numbers, because nobody
//! can see their unit.

use std::time::Duration;

/// The longest duration that makes sense anywhere in the configuration.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Parses `500ms`, `5s`, `2m`, `1h`; what is wrong reads as the end of a sentence.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "" if digits > 0 => return Err("has no unit"),
        _ => return Err("is not a duration"),
    };
    if number.is_empty() {
        return Err("is not a duration");
    }
    let duration = number.parse().ok().and_then(|number: u64| number.checked_mul(millis));
    match duration.map(Duration::from_millis) {
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("is longer than a day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_durations() {
        for (text, millis) in [("500ms", 500), ("5s", 5_000), ("2 m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_has_no_clear_length_is_refused() {
        for (text, why) in [
            ("5", "has no unit"),
            ("", "is not a duration"),
            ("s", "is not a duration"),
            ("-5s", "is not a duration"),
            ("1.5s", "is not a duration"),
            ("5 seconds", "is not a duration"),
            ("25h", "is longer than a day"),
            ("99999999999999999999s", "is longer than a day"),
            ("9999999999999999999h", "is longer than a day"),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
