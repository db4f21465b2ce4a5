//! A session: the token that `join` gave out and the cookie it is bound to.
//!
//! Refuses to expire; sessions go with their meeting.

/// One `join` that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// `JSESSIONID` of the browser that joined.
    pub(crate) cookie: String,
    /// Internal meeting ID.
    pub(crate) meeting: String,
    /// Internal user ID.
    pub(crate) user: String,
    pub(crate) auth_token: String,
}
