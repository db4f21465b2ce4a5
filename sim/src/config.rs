//! How one simulated server behaves.
//!
//! Holds settings that stay fixed while it runs; faults and the secret can be changed on the handle.

use std::path::PathBuf;
use std::time::Duration;

use crate::checksum::Algorithm;
use crate::state::hook::HookSignature;

/// Which BBB release a server acts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// BBB 2.7: POST join, form bodies rebuilt for the checksum, `enter`, no content-type check.
    V27,
    /// BBB 3.0: join by GET only, duplicate checksums refused, content types checked, GraphQL URLs.
    #[default]
    V30,
}

/// Settings of one simulated server.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The shared secret. Empty switches the checksum off, as on a real server.
    pub secret: String,
    /// Which release to act like.
    pub profile: Profile,
    /// Checksum algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// A name for people, shown in listings and on the stub client page.
    pub name: String,
    /// Scheme and authority for every URL the server hands out, such as `https://bbb1.example`. `None`
    /// means the address it listens on.
    pub public_url: Option<String>,
    /// The version that the index reveals; `None` leaves it empty, as BBB does by default.
    pub bbb_version: Option<String>,
    /// How long a meeting is still listed after `end`.
    pub end_delay: Duration,
    /// The length of a minute for expiry and `duration`. `None`: meetings never end by themselves.
    pub minute: Option<Duration>,
    /// How many received calls are remembered, oldest dropped first; 0 remembers none.
    pub calls_max: usize,
    /// A file to which every call is added as it is received, name and query with a tab between them; what
    /// was written survives the death of the process. `None`: no file.
    pub journal: Option<PathBuf>,
    /// Bodies above this get nginx's 413.
    pub body_bytes_max: usize,
    /// Request targets (path and query) above this get nginx's 414.
    pub target_bytes_max: usize,
    /// Compare `Content-Type` as a whole string, as the first 3.0 releases do; otherwise parameters
    /// such as `charset` and upper case are tolerated. Only [`Profile::V30`] looks at all.
    pub exact_content_types: bool,
    /// Whether getRecordings without any ID lists everything (`bbb-api.md` 5.1).
    pub allow_fetch_all_recordings: bool,
    /// Whether the session token opens the client page without the cookie.
    pub allow_requests_without_session: bool,
    /// Whether meetings are found by any prefix of their internal ID, as on a real server
    /// (`bbb-api.md` 9.3). Very short hexadecimal meeting IDs can then hit another meeting.
    pub prefix_lookup: bool,
    /// Pauses before the second, third .. attempt to deliver a callback of an ended meeting.
    pub callback_retries: Vec<Duration>,
    /// What events of webhooks are signed with.
    pub hook_signature: HookSignature,
    /// Pauses before the second, third .. attempt to deliver an event; after the last the hook is dropped.
    pub hook_retries: Vec<Duration>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            secret: "bbb-sim-secret".to_owned(),
            profile: Profile::default(),
            algorithms: Algorithm::ALL.to_vec(),
            name: "bbb-sim".to_owned(),
            public_url: None,
            bbb_version: None,
            end_delay: Duration::from_millis(500),
            minute: None,
            calls_max: 100_000,
            journal: None,
            body_bytes_max: 2 * 1024 * 1024,
            target_bytes_max: 8 * 1024,
            exact_content_types: true,
            allow_fetch_all_recordings: true,
            allow_requests_without_session: false,
            prefix_lookup: true,
            callback_retries: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
            hook_signature: HookSignature::default(),
            hook_retries: (0..12)
                .map(|n| Duration::from_millis(100 << n).min(Duration::from_secs(60)))
                .collect(),
        }
    }
}
