//! How a server is emptied: what was asked for, and which announcement is due. A drain ends no meeting: it waits
//! for them, and says so when it waits too long.

use std::time::Duration;

/// How a drain was asked for. Times are seconds since 1970: they outlive the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drain {
    /// When it began.
    pub since_unix_s: u64,
    /// When the server is to be empty.
    pub until_unix_s: Option<u64>,
    /// What its meetings are told; `None`: what the configuration says.
    pub message: Option<String>,
}

impl Drain {
    /// Whether the server should have been empty by now.
    pub fn is_over(&self, now_unix_s: u64) -> bool {
        self.until_unix_s.is_some_and(|until| now_unix_s >= until)
    }

    /// Which announcement is the latest one due: 0 is the first, made when the drain begins; the others come
    /// each of `again_before` before the end. A later one stands for those before it.
    pub fn due(&self, again_before: &[Duration], now_unix_s: u64) -> usize {
        let Some(until) = self.until_unix_s else { return 0 };
        let left = until.saturating_sub(now_unix_s);
        let began_with = until.saturating_sub(self.since_unix_s);
        // One that would come at once says nothing that the first did not.
        let come = |before: &&Duration| before.as_secs() < began_with && left <= before.as_secs();
        again_before.iter().filter(come).count()
    }
}

/// `message` with the minutes that are left in the place of `{minutes}`. Without an end the sentence that holds
/// them is left out.
pub fn announcement(message: &str, until_unix_s: Option<u64>, now_unix_s: u64) -> String {
    match until_unix_s {
        Some(until) => {
            let minutes = until.saturating_sub(now_unix_s).div_ceil(60);
            message.replace("{minutes}", &minutes.to_string())
        }
        None => message
            .split_inclusive(['.', '!', '?'])
            .filter(|sentence| !sentence.contains("{minutes}"))
            .collect::<String>()
            .trim()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;

    fn drain(minutes: Option<u64>) -> Drain {
        let until_unix_s = minutes.map(|minutes| 1_000 + minutes * MINUTE);
        Drain { since_unix_s: 1_000, until_unix_s, message: None }
    }

    #[test]
    fn announcements_come_at_the_beginning_and_before_the_end() {
        let again = [30, 5].map(|minutes| Duration::from_secs(minutes * MINUTE));
        let due = |minutes, passed: u64| drain(Some(minutes)).due(&again, 1_000 + passed * MINUTE);
        assert_eq!(
            [due(60, 0), due(60, 29), due(60, 30), due(60, 54), due(60, 55)],
            [0, 0, 1, 1, 2]
        );
        // The first one says already that there are 20 minutes left.
        assert_eq!([due(20, 0), due(20, 14), due(20, 15), due(20, 99)], [0, 0, 1, 1]);
        assert_eq!(drain(None).due(&again, 1_000_000), 0);
    }

    #[test]
    fn without_an_end_nothing_is_said_of_one() {
        let message = "This server needs a pause. It is switched off in {minutes} minutes. Please come again!";
        assert_eq!(
            announcement(message, Some(1_000 + 90), 1_000),
            "This server needs a pause. It is switched off in 2 minutes. Please come again!"
        );
        assert_eq!(
            announcement(message, None, 1_000),
            "This server needs a pause. Please come again!"
        );
    }

    #[test]
    fn an_end_is_reached_when_it_has_come() {
        assert!(!drain(Some(1)).is_over(1_059));
        assert!(drain(Some(1)).is_over(1_060));
        assert!(!drain(None).is_over(u64::MAX));
    }
}
