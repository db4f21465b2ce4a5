//! A registered webhook (`bbb-api.md` 2.11).
//!
//! A registry entry only: see `callback` for what is sent.

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
