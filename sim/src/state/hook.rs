//! A registered webhook (`bbb-api.md` 2.11).
//!
//! A registry entry only: see `webhook` for what is sent.

/// What a server signs events with; it differs between releases of bbb-webhooks (`bbb-api.md` 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HookSignature {
    /// 2.6 and earlier: the fields as JSON.
    Json,
    /// 3.0 to 3.3: `{}`.
    Braces,
    /// 3.4 and later: the body.
    #[default]
    Body,
    /// `auth2_0`: the secret itself as a bearer token.
    Bearer,
}

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    pub(crate) callback_url: String,
    /// External meeting ID; `None` is every meeting.
    pub(crate) meeting: Option<String>,
    /// Lower-cased comma list of events; `None` is every event.
    pub(crate) events: Option<String>,
    pub(crate) raw: bool,
}
