//! Callbacks: what servers send to the URLs that front ends gave in `create` (`bbb-api.md` 6), on their way
//! through tinyscale. Pure; knows no clock, socket or file.
//!
//! A create leaves with URLs of tinyscale in place of the front end's ([`rewrite`]). Each carries the front
//! end's own URL, sealed ([`seal`]), so nothing has to be stored to forward a callback, and a URL that
//! tinyscale did not make opens nothing. What a server sends there is believed only with that server's
//! signature ([`receive`]), leaves with the signature of the front end's secret ([`send`]), and goes only to
//! addresses that may be called ([`target`]).

pub mod envelope;
pub mod jwt;
pub mod queue;
pub mod receive;
pub mod rewrite;
pub mod schedule;
pub mod seal;
pub mod seen;
pub mod send;
pub mod target;

use serde::{Deserialize, Serialize};

/// Where callbacks arrive; behind it stands the token.
pub const PATH: &str = "/callback/";

/// What a callback tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `meta_endCallbackUrl`: GET with `recordingmarks` and `meetingID`.
    EndCallback,
    /// `meetingEndedURL`: GET, from newer servers with `recordingmarks`.
    MeetingEnded,
    /// `meta_*-recording-ready-url`: POST of a form with a web token, HS256.
    RecordingReady,
    /// `meta_analytics-callback-url`: POST of JSON with a bearer token, HS512.
    Analytics,
    /// `meta_*-callback-url`, sent by what operators installed on their servers: signed or not.
    Other,
    /// An event of `hooks/create`: POST of a form with a checksum.
    Hook,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::EndCallback,
        Self::MeetingEnded,
        Self::RecordingReady,
        Self::Analytics,
        Self::Other,
        Self::Hook,
    ];

    /// A name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndCallback => "end",
            Self::MeetingEnded => "meeting-ended",
            Self::RecordingReady => "recording-ready",
            Self::Analytics => "analytics",
            Self::Other => "other",
            Self::Hook => "hook",
        }
    }

    /// The largest body that comes with it.
    pub fn body_bytes_max(self) -> usize {
        match self {
            Self::EndCallback | Self::MeetingEnded => 0,
            Self::RecordingReady => 64 * 1024,
            // A thousand people with all they did: about 1 MB.
            Self::Analytics => 8 * 1024 * 1024,
            Self::Other | Self::Hook => 1024 * 1024,
        }
    }

    /// Whether it comes by POST. [`Kind::Other`] comes either way.
    pub fn is_post(self) -> bool {
        !matches!(self, Self::EndCallback | Self::MeetingEnded)
    }
}

/// The token in a path, if it is one of callbacks.
pub fn token_of(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)
}
