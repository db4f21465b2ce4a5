//! When a callback is tried again, and when that is over.

use std::time::Duration;

use crate::callback::Kind;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The front end has it.
    Delivered,
    /// The front end will never take it.
    Refused,
    /// Try again.
    Later,
}

/// How long to wait after `attempts` failed ones.
pub fn pause(kind: Kind, attempts: u32) -> Duration {
    let (first, longest) = match kind {
        // bbb-webhooks starts with 100 ms and ends with a minute.
        Kind::Hook => (Duration::from_millis(500), Duration::from_secs(60)),
        Kind::EndCallback
        | Kind::MeetingEnded
        | Kind::RecordingReady
        | Kind::Analytics
        | Kind::Other => (Duration::from_secs(2), Duration::from_secs(30 * 60)),
    };
    first.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(longest)
}

/// How long it is tried at all.
pub fn give_up_after(kind: Kind) -> Duration {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    match kind {
        // What happened in a meeting is of no use long after; bbb-webhooks gives up after five minutes.
        Kind::Hook => Duration::from_secs(10 * 60),
        Kind::EndCallback
        | Kind::MeetingEnded
        | Kind::RecordingReady
        | Kind::Analytics
        | Kind::Other => HOUR.saturating_mul(48),
    }
}

/// For how long the same callback, told again, is taken for a repetition of one that was delivered.
///
/// Servers of 2.x ask every end URL twice, and may start over half a minute later. Of a recording each format
/// is told with the same words, so there nothing is a repetition.
pub fn repeated_within(kind: Kind) -> Duration {
    match kind {
        Kind::EndCallback | Kind::MeetingEnded => Duration::from_secs(60),
        Kind::Analytics | Kind::Hook => Duration::from_secs(600),
        Kind::RecordingReady | Kind::Other => Duration::ZERO,
    }
}

/// What an answer with this status means.
pub fn verdict(kind: Kind, status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        // So say bbb-webhooks (`bbb-api.md` 6.4); what never succeeds costs the hook.
        401 if kind == Kind::Hook => Verdict::Delivered,
        _ if kind == Kind::Hook => Verdict::Later,
        401 | 408 | 429 => Verdict::Later,
        400..=499 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_for_hours() {
        let pauses: Vec<u64> = (1..=12).map(|n| pause(Kind::RecordingReady, n).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]);
        assert_eq!(pause(Kind::Hook, 1), Duration::from_millis(500));
        assert_eq!(pause(Kind::Hook, u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn what_a_status_means() {
        let of = |status| verdict(Kind::RecordingReady, status);
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Delivered, "{status}");
        }
        // clients.md 4.3: cloud_bbb answers 405 to every POST.
        for status in [400, 403, 404, 405, 410, 422] {
            assert_eq!(of(status), Verdict::Refused, "{status}");
        }
        for status in [301, 302, 401, 408, 429, 500, 502, 503, 504] {
            assert_eq!(of(status), Verdict::Later, "{status}");
        }
        assert_eq!(verdict(Kind::Hook, 401), Verdict::Delivered);
        assert_eq!(verdict(Kind::Hook, 404), Verdict::Later);
    }
}
