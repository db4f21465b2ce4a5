//! Sizes as operators write them: a whole number and a unit of 1024. Refuses bare numbers, because nobody can
//! see their unit, and more than a body may sensibly have.

/// 1 GiB: larger than any body that a BBB server takes.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// Parses `512KiB`, `8MiB`; what is wrong reads as the end of a sentence.
pub(crate) fn parse(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit.trim_start() {
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "" if digits > 0 => return Err("has no unit"),
        _ => return Err("is not a size"),
    };
    if number.is_empty() {
        return Err("is not a size");
    }
    match number.parse().ok().and_then(|number: u64| number.checked_mul(bytes)) {
        Some(0) => Err("must be more than nothing"),
        Some(size) if size <= LARGEST => Ok(size),
        _ => Err("is larger than 1024MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_sizes() {
        for (text, bytes) in [("64KiB", 65_536), ("8 MiB", 8_388_608), ("1024MiB", LARGEST)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_has_no_clear_size_is_refused() {
        for (text, why) in [
            ("5", "has no unit"),
            ("", "is not a size"),
            ("MiB", "is not a size"),
            ("1.5MiB", "is not a size"),
            ("8MB", "is not a size"),
            ("0KiB", "must be more than nothing"),
            ("1025MiB", "is larger than 1024MiB"),
            ("99999999999999999999MiB", "is larger than 1024MiB"),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
